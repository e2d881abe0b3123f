//! The method table: every method once, in the order of the documentation, found by name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::method::{Method, Target};

/// All methods on a target.
#[derive(Debug)]
pub struct Table<T> {
    methods: Vec<Method<T>>,
    by_name: BTreeMap<&'static str, usize>,
}

/// Which methods to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GetMethods {
    /// List only what can be called in the present state.
    current: bool,
    /// List deprecated names as well; there are none.
    include_aliases: bool,
}

impl<T: Target> Table<T> {
    /// A table of these methods, and of `rpc_get_methods`, which lists them.
    ///
    /// # Panics
    /// If two methods have one name.
    pub fn new(methods: Vec<Method<T>>) -> Self {
        let mut listed: Vec<(&'static str, bool)> =
            methods.iter().map(|method| (method.name, method.current)).collect();
        listed.push(("rpc_get_methods", true));
        listed.sort_unstable();
        let list = Method::local("rpc_get_methods", "Lists the methods.", move |which: GetMethods| {
            Ok(listed
                .iter()
                .filter(|(_, current)| *current || !which.current)
                .map(|(name, _)| *name)
                .collect::<Vec<_>>())
        });
        let methods: Vec<_> = std::iter::once(list).chain(methods).collect();
        let by_name: BTreeMap<_, _> =
            methods.iter().enumerate().map(|(index, method)| (method.name, index)).collect();
        assert_eq!(by_name.len(), methods.len(), "two methods of one name");
        Self { methods, by_name }
    }

    /// The methods in the order of their declaration.
    pub fn methods(&self) -> &[Method<T>] {
        &self.methods
    }

    /// The method of that name.
    pub fn get(&self, name: &str) -> Option<&Method<T>> {
        self.by_name.get(name).map(|&index| &self.methods[index])
    }
}
