//! From a source's code, [`RawSource::code`](crate::RawSource), to where its registration stands.

/// Small codes, which descriptors and handles have, index an array; the others, of which
/// there are few, are searched.
#[derive(Debug, Default)]
pub(crate) struct Index {
    small: Vec<u32>,
    large: Vec<(u64, u32)>,
}

const NOWHERE: u32 = u32::MAX;
/// Descriptors are the lowest numbers that are free, so that the array is as long as they are many.
const SMALL: u64 = 1 << 22;

impl Index {
    /// Where it is noted, used or not.
    fn place(&mut self, code: u64) -> Option<&mut u32> {
        if code < SMALL {
            return self.small.get_mut(code as usize);
        }
        self.large.iter_mut().find(|(other, _)| *other == code).map(|(_, at)| at)
    }

    fn find(&self, code: u64) -> Option<&u32> {
        let place = if code < SMALL {
            self.small.get(code as usize)
        } else {
            self.large.iter().find(|(other, _)| *other == code).map(|(_, at)| at)
        };
        place.filter(|&&at| at != NOWHERE)
    }

    #[inline]
    pub(crate) fn get(&self, code: u64) -> Option<u32> {
        self.find(code).copied()
    }

    pub(crate) fn insert(&mut self, code: u64, at: u32) {
        if let Some(place) = self.place(code) {
            *place = at;
        } else if code < SMALL {
            while self.small.len() < code as usize {
                self.small.push(NOWHERE);
            }
            self.small.push(at);
        } else if let Some(unused) = self.large.iter_mut().find(|(_, at)| *at == NOWHERE) {
            *unused = (code, at);
        } else {
            self.large.push((code, at));
        }
    }

    pub(crate) fn remove(&mut self, code: u64) {
        if let Some(place) = self.place(code) {
            *place = NOWHERE;
        }
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
