//! From a source's name to where its registration stands.

use crate::source::RawSource;

/// Small numbers, which descriptors and handles are, index an array; the others, of which
/// there are few, are in order.
#[derive(Debug, Default)]
pub(crate) struct Index {
    small: Vec<u32>,
    /// By their codes.
    large: Vec<(u64, u32)>,
}

const NOWHERE: u32 = u32::MAX;
const SMALL: usize = 1 << 20;

impl Index {
    fn small(raw: RawSource) -> Option<usize> {
        let number = match raw {
            #[cfg(any(unix, all(target_os = "wasi", target_env = "p1", not(feature = "wasi-io"))))]
            RawSource::Fd(fd) => usize::try_from(fd).ok(),
            // Handles are multiples of four.
            #[cfg(windows)]
            RawSource::Socket(socket) if socket % 4 == 0 => usize::try_from(socket / 4).ok(),
            #[cfg(windows)]
            RawSource::Socket(_) => None,
            // Descriptors and handles in turns.
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            RawSource::Fd(fd) => usize::try_from(fd).ok().and_then(|fd| fd.checked_mul(2)),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            RawSource::Pollable(handle) => (handle as usize).checked_mul(2).map(|at| at + 1),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            RawSource::Socket(_) => None,
            RawSource::Set(_) => None,
        };
        number.filter(|&number| number < SMALL)
    }

    /// Where it is among the large ones, or would be.
    fn large(&self, raw: RawSource) -> Result<usize, usize> {
        self.large.binary_search_by_key(&raw.code(), |(code, _)| *code)
    }

    pub(crate) fn get(&self, raw: RawSource) -> Option<u32> {
        match Index::small(raw) {
            Some(number) => self.small.get(number).copied().filter(|&at| at != NOWHERE),
            None => self.large(raw).ok().map(|place| self.large[place].1),
        }
    }

    pub(crate) fn insert(&mut self, raw: RawSource, at: u32) {
        match Index::small(raw) {
            Some(number) => {
                while self.small.len() <= number {
                    self.small.push(NOWHERE);
                }
                self.small[number] = at;
            }
            None => match self.large(raw) {
                Ok(place) => self.large[place].1 = at,
                Err(place) => {
                    // (`insert` and `remove` are half a kilobyte of code.)
                    self.large.push((raw.code(), at));
                    for place in (place + 1..self.large.len()).rev() {
                        self.large.swap(place - 1, place);
                    }
                }
            },
        }
    }

    pub(crate) fn remove(&mut self, raw: RawSource) -> Option<u32> {
        match Index::small(raw) {
            Some(number) => {
                let at = std::mem::replace(self.small.get_mut(number)?, NOWHERE);
                (at != NOWHERE).then_some(at)
            }
            None => {
                for place in self.large(raw).ok()? + 1..self.large.len() {
                    self.large.swap(place - 1, place);
                }
                self.large.pop().map(|(_, at)| at)
            }
        }
    }
}

#[cfg(all(test, unix))]
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
                let number = below(names);
                let raw = if below(2) == 0 {
                    RawSource::Fd(number as i32)
                } else {
                    RawSource::Set(number)
                };
                match below(3) {
                    0 => assert_eq!(index.remove(raw), map.remove(&raw)),
                    1 => {
                        index.insert(raw, step);
                        map.insert(raw, step);
                    }
                    _ => assert_eq!(index.get(raw), map.get(&raw).copied()),
                }
            }
            assert!(map.iter().all(|(raw, at)| index.get(*raw) == Some(*at)));
        }
    }
}
