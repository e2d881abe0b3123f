//! PostgreSQL, asked by pgbench, which selects one row with each query.

use super::{Way, figure_behind};
use crate::bench::process::{Server, pinned};
use crate::bench::report::Figures;
use crate::bench::workload::Workload;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Queries of a second.
pub fn measure(way: &Way<'_>, workload: &Workload) -> Result<Option<Figures>> {
    if way.name == "sdp" {
        return Ok(None);
    }
    let database = Database::make(way)?;
    let library = way.preload().map(|library| database.give(library)).transpose()?;
    let _server = database.start(way, library.as_deref())?;
    let (count, each) = (workload.depth.to_string(), (QUERIES / workload.depth).to_string());
    let (host, port) = (database.host(way), PORT.to_string());
    let mut arguments = vec!["-h", &host, "-p", &port, "-U", USER];
    let tables = [&arguments[..], &["-i", "-q", "postgres"]].concat();
    let made = pinned(way.client, Path::new("pgbench"), &tables).stderr(Stdio::null()).status()?;
    ensure!(made.success(), "pgbench -i: {made}");
    arguments.extend(["-n", "-S", "-c", &count, "-t", &each]);
    if workload.pattern == "database, prepared" {
        arguments.extend(["-M", "prepared"]);
    }
    arguments.push("postgres");
    let said = way.ask(Path::new("pgbench"), &arguments)?;
    Ok(Some(Figures::of(figure_behind(&said, "tps =")?)))
}

/// A folder with a database, and where the programs of its version lie.
struct Database {
    folder: PathBuf,
    programs: PathBuf,
}

impl Database {
    fn make(way: &Way<'_>) -> Result<Database> {
        let versions = fs::read_dir("/usr/lib/postgresql").context("there is no PostgreSQL")?;
        let newest =
            versions.flatten().map(|version| version.path()).max().context("there is no PostgreSQL")?;
        let folder = std::env::temp_dir().join(format!("weft-bench-database.{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let database = Database { folder, programs: newest.join("bin") };
        if database.is_root() {
            let is_given = Command::new("chown").arg("postgres:").arg(&database.folder).status()?;
            ensure!(is_given.success(), "there is no user for PostgreSQL, which root may not run");
        }
        let (program, before) = database.program("initdb");
        let data = database.data();
        let mut arguments = before;
        arguments
            .extend(["-D", &data, "-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync"].map(String::from));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let made = pinned(way.target, &program, &arguments).stdout(Stdio::null()).status()?;
        ensure!(made.success(), "initdb: {made}");
        Ok(database)
    }

    /// As who it must be.
    fn program(&self, name: &str) -> (PathBuf, Vec<String>) {
        let program = self.programs.join(name);
        if !self.is_root() {
            return (program, Vec::new());
        }
        let who = ["--reuid=postgres", "--regid=postgres", "--clear-groups"].map(String::from);
        let program = program.to_string_lossy().into_owned();
        (PathBuf::from("setpriv"), who.into_iter().chain([program]).collect())
    }

    fn start(&self, way: &Way<'_>, library: Option<&Path>) -> Result<Server> {
        let (program, mut arguments) = self.program("postgres");
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={PORT}"),
            format!("unix_socket_directories={}", self.folder.display()),
            "fsync=off".to_owned(),
            "max_connections=300".to_owned(),
            // Who makes an index looks for its helpers without a pause, where they may have no processor.
            "max_parallel_maintenance_workers=0".to_owned(),
        ];
        arguments.extend(["-D".to_owned(), self.data()]);
        arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Server::start_at(way.target, &program, &arguments, library, PORT)
    }

    /// Its user may not be able to read where the library was built.
    fn give(&self, library: &Path) -> Result<PathBuf> {
        let copy = self.folder.join("library.so");
        fs::copy(library, &copy)?;
        Ok(copy)
    }

    fn host(&self, way: &Way<'_>) -> String {
        if way.name == "unix" { self.folder.display().to_string() } else { "127.0.0.1".to_owned() }
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn is_root(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // What is left in a folder for temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const PORT: u16 = 16475;
const USER: &str = "weft";
const QUERIES: usize = 16_000;
