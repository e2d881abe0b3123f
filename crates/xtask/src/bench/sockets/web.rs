//! nginx, asked by ab for one page over and over again, with a connection for each request or without.

use super::{Way, figure_behind};
use crate::bench::process::Server;
use crate::bench::report::Figures;
use crate::bench::workload::Workload;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// Requests of a second; the workload's size is the page's.
pub fn measure(way: &Way<'_>, workload: &Workload) -> Result<Option<Figures>> {
    if way.name != "tcp" {
        return Ok(None);
    }
    let folder = std::env::temp_dir().join(format!("weft-bench-web.{}", std::process::id()));
    fs::create_dir_all(folder.join("pages"))?;
    fs::write(folder.join("pages/page"), vec![b'w'; workload.size])?;
    fs::write(folder.join("nginx.conf"), SETTINGS.replace("FOLDER", &folder.to_string_lossy()))?;
    let rate = ask(way, workload, &folder);
    fs::remove_dir_all(&folder)?;
    rate.map(|rate| Some(Figures::of(rate)))
}

fn ask(way: &Way<'_>, workload: &Workload, folder: &Path) -> Result<f64> {
    let (place, settings) = (folder.to_string_lossy(), folder.join("nginx.conf"));
    let arguments = ["-p", &place, "-c", &settings.to_string_lossy(), "-e", "stderr"];
    let _server = Server::start_at(way.target, Path::new("nginx"), &arguments, way.preload(), PORT)?;
    let requests = if workload.size > 1 << 16 { REQUESTS / 8 } else { REQUESTS };
    let (requests, depth) = (requests.to_string(), workload.depth.to_string());
    let url = format!("http://127.0.0.1:{PORT}/page");
    let mut arguments = vec!["-q", "-n", &requests, "-c", &depth];
    arguments.extend((workload.pattern == "web, kept").then_some("-k"));
    arguments.push(&url);
    figure_behind(&way.ask(Path::new("ab"), &arguments)?, "Requests per second:")
}

/// One process, as there is one processor for it.
const SETTINGS: &str = "daemon off; master_process off; pid FOLDER/pid;
events { worker_connections 1024; }
http {
    access_log off; sendfile on; keepalive_requests 1000000;
    client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2; fastcgi_temp_path FOLDER/3;
    uwsgi_temp_path FOLDER/4; scgi_temp_path FOLDER/5;
    server { listen 127.0.0.1:16473 backlog=1024; root FOLDER/pages; }
}
";
const PORT: u16 = 16473;
const REQUESTS: usize = 8000;
