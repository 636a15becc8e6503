//! From a source's code, [`RawSource::code`](crate::RawSource), to where its registration stands.

use crate::backend::grow;

/// Small codes, which descriptors and handles have, index an array; the others, of which
/// there are few, are searched.
#[derive(Default)]
pub(crate) struct Index {
    small: Vec<u32>,
    large: Vec<(u64, u32)>,
}

const NOWHERE: u32 = u32::MAX;
/// Descriptors are the lowest numbers that are free, so that the array is as long as they are many.
const SMALL: u64 = 1 << 22;

impl Index {
    #[inline]
    pub(crate) fn get(&self, code: u64) -> Option<u32> {
        Some(self.find(code)).filter(|at| *at != NOWHERE)
    }

    // Apart, to be a number.
    #[cfg_attr(target_family = "wasm", inline(never))]
    #[cfg_attr(not(target_family = "wasm"), inline)]
    fn find(&self, code: u64) -> u32 {
        let found = if code < SMALL {
            self.small.get(code as usize)
        } else {
            self.large.iter().find(|(other, _)| *other == code).map(|(_, at)| at)
        };
        found.copied().unwrap_or(NOWHERE)
    }

    // Apart: it is all that there is to this.
    #[inline(never)]
    pub(crate) fn insert(&mut self, code: u64, at: u32) {
        let Index { small, large } = self;
        if code < SMALL {
            let place = code as usize;
            while small.len() <= place {
                grow::push(small, NOWHERE);
            }
            if let Some(place) = small.get_mut(place) {
                *place = at;
            }
        } else if let Some(place) = large.iter_mut().find(|(other, _)| *other == code) {
            place.1 = at;
        } else {
            grow::push(large, (code, at));
        }
    }

    pub(crate) fn remove(&mut self, code: u64) {
        let Index { small, large } = self;
        if code < SMALL {
            if let Some(place) = small.get_mut(code as usize) {
                *place = NOWHERE;
            }
        } else if let Some(place) = large.iter().position(|(other, _)| *other == code) {
            large.swap_remove(place);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.small.clear();
        self.large.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Against the standard library's, with few names and with many.
    #[test]
    fn it_is_a_map() {
        let mut random = 1_u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % limit
        };
        for names in [1, 5, 6, 7, 40, 1000] {
            let (mut index, mut map) = (Index::default(), HashMap::new());
            for step in 0..20_000 {
                let code = below(names) + if below(2) == 0 { 0 } else { SMALL };
                match below(3) {
                    0 => {
                        index.remove(code);
                        map.remove(&code);
                    }
                    1 => {
                        index.insert(code, step);
                        map.insert(code, step);
                    }
                    _ => assert_eq!(index.get(code), map.get(&code).copied()),
                }
            }
            assert!(map.iter().all(|(code, at)| index.get(*code) == Some(*at)));
        }
    }
}
