//! Ctrl-C and SIGTERM: asked once, the work ends in order; asked twice, it ends at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Set by the first signal; with it set, the second ends the process.
static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Begins to listen for the signals.
pub fn install() -> io::Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        // This order matters: the first signal finds the flag unset, and sets it for the second.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(asked))?;
        flag::register(signal, Arc::clone(asked))?;
    }
    Ok(())
}

/// True once a signal has come.
pub fn interrupted() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}

/// Calls `then` on a thread of its own when the first signal comes.
pub fn on_first(then: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        if signals.forever().next().is_some() {
            then();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}
