//! A daemon of the binary under test, commands run against it, and folders that go away.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const WEFT: &str = env!("CARGO_BIN_EXE_weft");

/// A running `weft serve`; killed when dropped.
pub struct Daemon {
    child: Child,
    /// Where it listens: ADDR:PORT.
    pub address: String,
    /// Its control socket.
    pub socket: String,
    namespaces: Vec<Value>,
    luns: Vec<Value>,
    srp_luns: Vec<Value>,
    srp_listeners: Vec<Value>,
    _folder: Folder,
}

impl Daemon {
    /// Starts one on a free port of an address that no other test has, and waits until it is ready.
    pub fn start(args: &[&str]) -> Self {
        Self::start_bare(&[&["--listen", &format!("{}:0", loopback())], args].concat())
    }

    /// The same without saying where to listen.
    pub fn start_bare(args: &[&str]) -> Self {
        let folder = Folder::new("daemon");
        let socket = folder.path("weft.sock");
        let mut command = Command::new(WEFT);
        command.args(["serve", "--json"]).args(args).stdout(Stdio::piped());
        if !args.contains(&"--rpc-socket") {
            command.args(["--rpc-socket", &socket]);
        }
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says that it is ready");
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let address = ready["listeners"][0].as_str().expect("a listener").to_owned();
        let list = |name: &str| ready[name].as_array().expect("a list").clone();
        let (namespaces, luns) = (list("namespaces"), list("luns"));
        let (srp_luns, srp_listeners) = (list("srp_luns"), list("srp_listeners"));
        Self { child, address, socket, namespaces, luns, srp_luns, srp_listeners, _folder: folder }
    }

    /// The same by every protocol, each at its own port.
    pub fn start_everywhere(args: &[&str]) -> Self {
        Self::start_bare(&[&["--listen", &loopback().to_string()], args].concat())
    }

    /// The address without the port.
    pub fn host(&self) -> String {
        self.address.rsplit_once(':').expect("an address").0.to_owned()
    }

    /// The URL of a unit over SRP.
    pub fn srp_url(&self, lun: u64) -> String {
        let unit = self.srp_luns.iter().find(|one| one["lun"] == lun).expect("the unit is served");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let target = text(&unit["id_ext"]) + &text(&unit["ioc_guid"]);
        format!("srp://{}/{target}/{lun}", text(&self.srp_listeners[0]))
    }

    /// The URL of a namespace.
    pub fn url(&self, nsid: u32) -> String {
        let one = self.namespaces.iter().find(|one| one["nsid"] == nsid).expect("the namespace is served");
        one["url"].as_str().expect("a URL").to_owned()
    }

    /// The same by RDMA.
    pub fn rdma_url(&self, nsid: u32) -> String {
        let one = self.namespaces.iter().find(|one| one["nsid"] == nsid).expect("the namespace is served");
        one["rdma_url"].as_str().expect("a URL").to_owned()
    }

    /// The URL of a logical unit.
    pub fn disk(&self, lun: u32) -> String {
        let one = self.luns.iter().find(|one| one["lun"] == lun).expect("the logical unit is served");
        one["url"].as_str().expect("a URL").to_owned()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would: it does not get to know.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was started");
    }

    /// Asks it to end; says how it did.
    pub fn stop(mut self) -> Option<i32> {
        signal(self.child.id(), "TERM");
        self.child.wait().expect("it was started").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of loopback's for a daemon of this test alone: a device of RDMA has its address to itself.
pub fn loopback() -> Ipv4Addr {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let number = COUNT.fetch_add(1, Ordering::Relaxed) as u8;
    // Processes have numbers of 22 bits: a daemon of each has the rest.
    Ipv4Addr::new(127, high << 2 | number & 3, middle, low)
}

/// Runs a command to its end.
pub fn weft(args: &[&str]) -> Output {
    Command::new(WEFT).args(args).output().expect("the binary runs")
}

/// Runs a command that must succeed; says what it printed.
pub fn weft_ok(args: &[&str]) -> String {
    let output = weft(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Starts a command.
pub fn spawn(args: &[&str]) -> Child {
    Command::new(WEFT)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts")
}

/// Sends a signal to a process that we started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("a shell");
    assert!(status.success(), "the process is gone");
}

/// A folder of this test's own, removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("weft-test-{}-{number}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain name").to_owned()
    }

    /// A file of `len` random bytes; says where.
    pub fn random(&self, name: &str, len: usize) -> String {
        let mut bytes = vec![0; len];
        stdx::prng::Prng::new(len as u64).fill(&mut bytes);
        std::fs::write(self.path(name), bytes).expect("a file");
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
