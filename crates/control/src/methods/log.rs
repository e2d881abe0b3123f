//! `log_*`: what is logged, changed while running.
//!
//! SPDK's five levels are tracing's, by other names: ERROR, WARNING, NOTICE, INFO and DEBUG are `ERROR`, `WARN`, `INFO`,
//! `DEBUG` and `TRACE`. An event is printed when it is within both levels (`log_set_level` bounds everything,
//! `log_set_print_level` the terminal; there is no other sink today). INFO and DEBUG are detail: they are printed only for
//! components whose flag is set. A component is a crate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Errno, RpcError};
use crate::method::{Method, NoParams, Target};

/// What is logged. Shared by the methods and by whoever prints the log.
#[derive(Debug)]
pub struct LogState {
    level: AtomicU8,
    print_level: AtomicU8,
    timestamps: AtomicBool,
    flags: BTreeMap<&'static str, AtomicBool>,
}

/// SPDK's names of the log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Level {
    /// Nothing at all.
    Disabled,
    /// Something failed.
    Error,
    /// Something may be about to.
    Warning,
    /// Something an operator wants to know.
    Notice,
    /// Detail, for components whose flag is set.
    Info,
    /// All detail, for components whose flag is set.
    Debug,
}

const LEVELS: [Level; 6] =
    [Level::Disabled, Level::Error, Level::Warning, Level::Notice, Level::Info, Level::Debug];

impl LogState {
    /// Everything up to NOTICE is printed, with time stamps; `components` are the names of the flags.
    pub fn new(components: &[&'static str]) -> Self {
        Self {
            level: AtomicU8::new(Level::Debug as u8),
            print_level: AtomicU8::new(Level::Notice as u8),
            timestamps: AtomicBool::new(true),
            flags: components.iter().map(|name| (*name, AtomicBool::new(false))).collect(),
        }
    }

    /// Whether an event of this target (`crate::module`) and level is to be printed.
    pub fn prints(&self, target: &str, level: tracing::Level) -> bool {
        let level = Level::of(level);
        let component = target.split("::").next().unwrap_or(target);
        let flagged = || self.flags.get(component).is_some_and(|flag| flag.load(Ordering::Relaxed));
        level <= self.level().min(self.print_level()) && (level <= Level::Notice || flagged())
    }

    /// Whether lines begin with the time.
    pub fn has_timestamps(&self) -> bool {
        self.timestamps.load(Ordering::Relaxed)
    }

    /// Bounds what the terminal shows.
    pub fn set_print_level(&self, level: Level) {
        self.print_level.store(level as u8, Ordering::Relaxed);
    }

    /// Sets or clears the flag of one component, or of `all`.
    pub fn set_flag(&self, name: &str, on: bool) -> Result<(), RpcError> {
        let flags = self.flags.iter().filter(|(flag, _)| name == "all" || **flag == name);
        let count = flags.map(|(_, flag)| flag.store(on, Ordering::Relaxed)).count();
        if count == 0 { Err(Errno::Invalid.because("no such flag")) } else { Ok(()) }
    }

    fn level(&self) -> Level {
        LEVELS[usize::from(self.level.load(Ordering::Relaxed))]
    }

    fn print_level(&self) -> Level {
        LEVELS[usize::from(self.print_level.load(Ordering::Relaxed))]
    }
}

impl Level {
    fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Notice,
            tracing::Level::DEBUG => Level::Info,
            tracing::Level::TRACE => Level::Debug,
        }
    }
}

/// A level.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetLevel {
    /// The least severe level that passes.
    level: Level,
}

/// A component.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Flag {
    /// The component's name, or `all`.
    flag: String,
}

/// On or off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Enabled {
    /// Whether lines begin with the time.
    enabled: bool,
}

/// The `log_*` methods.
pub fn methods<T: Target>(log: &Arc<LogState>) -> Vec<Method<T>> {
    let on = |run: fn(&LogState) -> Level| {
        let log = Arc::clone(log);
        move |_: NoParams| Ok(run(&log))
    };
    let set = |run: fn(&LogState) -> &AtomicU8| {
        let log = Arc::clone(log);
        move |to: SetLevel| {
            run(&log).store(to.level as u8, Ordering::Relaxed);
            Ok(true)
        }
    };
    let flag = |on: bool| {
        let log = Arc::clone(log);
        move |which: Flag| log.set_flag(&which.flag, on).map(|()| true)
    };
    let (flags, stamps) = (Arc::clone(log), Arc::clone(log));
    vec![
        Method::local("log_set_level", "Bounds what is logged anywhere.", set(|log| &log.level)),
        Method::local("log_get_level", "The level that bounds what is logged anywhere.", on(LogState::level)),
        Method::local(
            "log_set_print_level",
            "Bounds what is printed on the terminal.",
            set(|log| &log.print_level),
        ),
        Method::local(
            "log_get_print_level",
            "The level that bounds the terminal.",
            on(LogState::print_level),
        ),
        Method::local("log_set_flag", "Prints INFO and DEBUG events of a component.", flag(true)),
        Method::local("log_clear_flag", "Stops printing INFO and DEBUG events of a component.", flag(false)),
        Method::local(
            "log_get_flags",
            "The components, and whether their detail is printed.",
            move |_: NoParams| {
                let state =
                    |(name, flag): (&&'static str, &AtomicBool)| (*name, flag.load(Ordering::Relaxed));
                Ok(flags.flags.iter().map(state).collect::<BTreeMap<_, _>>())
            },
        ),
        Method::local("log_enable_timestamps", "Begins lines with the time, or not.", move |to: Enabled| {
            stamps.timestamps.store(to.enabled, Ordering::Relaxed);
            Ok(true)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_needs_both_levels_and_the_flag() {
        let log = LogState::new(&["control", "engine"]);
        assert!(log.prints("control::server", tracing::Level::INFO));
        assert!(!log.prints("control::server", tracing::Level::DEBUG));
        log.set_print_level(Level::Debug);
        assert!(!log.prints("control::server", tracing::Level::DEBUG));
        log.set_flag("control", true).expect("a component");
        assert!(log.prints("control::server", tracing::Level::TRACE));
        assert!(!log.prints("engine", tracing::Level::DEBUG));
        log.level.store(Level::Warning as u8, Ordering::Relaxed);
        assert!(!log.prints("control", tracing::Level::INFO));
        assert!(log.prints("control", tracing::Level::WARN));
        assert_eq!(log.set_flag("nothing", true).map_err(|error| error.code), Err(-22));
    }
}
