//! What a shard has several of: each has a name, and a place whose number tells its events from the others'.

use std::collections::BTreeMap;

/// See the module.
#[derive(Debug)]
pub(crate) struct Named<T> {
    places: Vec<Option<T>>,
    names: BTreeMap<String, u32>,
    limit: usize,
}

/// Why there can be none of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPlace {
    /// There is one already.
    Exists,
    /// There are as many as there may be.
    Full,
}

impl<T> Named<T> {
    /// None yet, and at most `limit`.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { places: Vec::new(), names: BTreeMap::new(), limit }
    }

    /// The first free place, for one of that name; of the free ones, those that `is_held` are left alone.
    pub(crate) fn vacancy(&self, name: &str, is_held: impl Fn(u32) -> bool) -> Result<u32, NoPlace> {
        if self.names.contains_key(name) {
            return Err(NoPlace::Exists);
        }
        if self.names.len() >= self.limit {
            return Err(NoPlace::Full);
        }
        (0..u32::MAX).find(|place| self.at(*place).is_none() && !is_held(*place)).ok_or(NoPlace::Full)
    }

    /// Puts one at the place that [`Named::vacancy`] told.
    pub(crate) fn insert(&mut self, place: u32, name: &str, one: T) -> &mut T {
        let index = place as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        self.names.insert(name.into(), place);
        self.places[index].insert(one)
    }

    /// Takes the one of that name, and tells where it was.
    pub(crate) fn remove(&mut self, name: &str) -> Option<(u32, T)> {
        let place = self.names.remove(name)?;
        Some((place, self.places[place as usize].take()?))
    }

    /// The one of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.names.get(name).and_then(|place| self.at(*place))
    }

    /// The same, to change.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.names.get(name).copied().and_then(|place| self.at_mut(place))
    }

    /// The one at that place.
    pub(crate) fn at(&self, place: u32) -> Option<&T> {
        self.places.get(place as usize)?.as_ref()
    }

    /// The same, to change.
    pub(crate) fn at_mut(&mut self, place: u32) -> Option<&mut T> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    /// All of them, by name.
    pub(crate) fn by_name(&self) -> impl Iterator<Item = &T> {
        self.names.values().filter_map(|place| self.at(*place))
    }

    /// All of them, by place, which is cheaper.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    /// The same, to change.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(named: &mut Named<u8>, name: &str, one: u8) -> Result<u32, NoPlace> {
        let place = named.vacancy(name, |place| place == 1)?;
        named.insert(place, name, one);
        Ok(place)
    }

    #[test]
    fn places_are_taken_again_but_for_those_that_are_held() {
        let mut named = Named::new(3);
        assert_eq!(add(&mut named, "b", 1), Ok(0));
        assert_eq!(add(&mut named, "a", 2), Ok(2));
        assert_eq!(add(&mut named, "a", 3), Err(NoPlace::Exists));
        assert_eq!(named.by_name().copied().collect::<Vec<_>>(), [2, 1]);
        assert_eq!(named.remove("b"), Some((0, 1)));
        assert_eq!((named.get("b"), named.at(0)), (None, None));
        assert_eq!(named.remove("b"), None);
        assert_eq!(add(&mut named, "c", 4), Ok(0));
        assert_eq!(add(&mut named, "d", 5), Ok(3));
        assert_eq!(add(&mut named, "e", 6), Err(NoPlace::Full));
        assert_eq!(named.iter().copied().collect::<Vec<_>>(), [4, 2, 5]);
    }
}
