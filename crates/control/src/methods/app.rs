//! Methods of the process as such: version, subsystems, waiting for it to be up, ending it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::config::{Config, SUBSYSTEMS, load};
use crate::error::RpcError;
use crate::method::{Method, NoParams, Target};

/// A signal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KillInstance {
    /// Which; both drain, flush and end.
    sig_name: Signal,
}

/// A signal that ends the process.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Signal {
    /// As Ctrl-C.
    Sigint,
    /// As an orderly stop.
    Sigterm,
}

/// The version.
#[derive(Debug, Serialize, JsonSchema)]
struct Version {
    /// As a text.
    version: &'static str,
    /// In parts.
    fields: VersionFields,
}

/// The version in parts.
#[derive(Debug, Serialize, JsonSchema)]
struct VersionFields {
    /// Changes with what is not compatible.
    major: u32,
    /// Changes with what is new.
    minor: u32,
    /// Changes with what is mended.
    patch: u32,
    /// What follows the numbers.
    suffix: &'static str,
}

/// A part of the process that is configured by itself.
#[derive(Debug, Serialize, JsonSchema)]
struct SubsystemInfo {
    /// Its name.
    subsystem: &'static str,
    /// What is configured before it.
    depends_on: Vec<&'static str>,
}

/// The methods of the process as such; `stop` is told when it is to end.
pub fn methods<T: Target>(stop: &Arc<Notify>) -> Vec<Method<T>> {
    let stop = Arc::clone(stop);
    vec![
        Method::local("spdk_get_version", "Weft's version.", |_: NoParams| Ok(version())),
        Method::local("spdk_kill_instance", "Ends the process in order.", move |kill: KillInstance| {
            tracing::info!(signal = ?kill.sig_name, "told to stop");
            stop.notify_one();
            Ok(true)
        }),
        Method::local("framework_start_init", "Nothing: Weft is up as soon as it answers.", |_: NoParams| {
            Ok(true)
        })
        .at_startup(),
        Method::local("framework_wait_init", "Answers when Weft is up.", |_: NoParams| Ok(true)),
        Method::local(
            "framework_get_subsystems",
            "The parts that are configured by themselves.",
            |_: NoParams| {
                let info = |(index, name): (usize, &&'static str)| SubsystemInfo {
                    subsystem: name,
                    depends_on: SUBSYSTEMS[..index].to_vec(),
                };
                Ok(SUBSYSTEMS.iter().enumerate().map(info).collect::<Vec<_>>())
            },
        ),
        Method::composed("load_config", "Makes the calls of a configuration, up to the first that fails.", {
            |dispatcher, config: Config| async move {
                load(&dispatcher, &config)
                    .await
                    .map_err(|error| RpcError { code: error.error.code, message: error.to_string() })?;
                Ok(true)
            }
        }),
    ]
}

fn version() -> Version {
    let number = |text: &str| text.parse().unwrap_or_default();
    Version {
        version: concat!("Weft v", env!("CARGO_PKG_VERSION")),
        fields: VersionFields {
            major: number(env!("CARGO_PKG_VERSION_MAJOR")),
            minor: number(env!("CARGO_PKG_VERSION_MINOR")),
            patch: number(env!("CARGO_PKG_VERSION_PATCH")),
            suffix: env!("CARGO_PKG_VERSION_PRE"),
        },
    }
}
