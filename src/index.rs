//! From a source's code, [`RawSource::code`](crate::RawSource), to where its registration stands.

/// Small codes, which descriptors and handles have, index an array; the others, of which
/// there are few, are in order.
#[derive(Debug, Default)]
pub(crate) struct Index {
    small: Vec<u32>,
    large: Vec<(u64, u32)>,
}

const NOWHERE: u32 = u32::MAX;
const SMALL: u64 = 1 << 20;

impl Index {
    /// Where it is among the large ones, or would be.
    fn large(&self, code: u64) -> Result<usize, usize> {
        self.large.binary_search_by_key(&code, |(code, _)| *code)
    }

    pub(crate) fn get(&self, code: u64) -> Option<u32> {
        if code < SMALL {
            return self.small.get(code as usize).copied().filter(|&at| at != NOWHERE);
        }
        self.large(code).ok().map(|place| self.large[place].1)
    }

    pub(crate) fn insert(&mut self, code: u64, at: u32) {
        if code < SMALL {
            while self.small.len() <= code as usize {
                self.small.push(NOWHERE);
            }
            self.small[code as usize] = at;
            return;
        }
        match self.large(code) {
            Ok(place) => self.large[place].1 = at,
            Err(place) => {
                // (`insert` and `remove` are half a kilobyte of code.)
                let mut moved = (code, at);
                for after in self.large.iter_mut().skip(place) {
                    std::mem::swap(after, &mut moved);
                }
                self.large.push(moved);
            }
        }
    }

    pub(crate) fn remove(&mut self, code: u64) -> Option<u32> {
        if code < SMALL {
            let at = std::mem::replace(self.small.get_mut(code as usize)?, NOWHERE);
            return (at != NOWHERE).then_some(at);
        }
        let place = self.large(code).ok()?;
        let mut moved = self.large.pop()?;
        for before in self.large.iter_mut().skip(place).rev() {
            std::mem::swap(before, &mut moved);
        }
        Some(moved.1)
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
                    0 => assert_eq!(index.remove(code), map.remove(&code)),
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
