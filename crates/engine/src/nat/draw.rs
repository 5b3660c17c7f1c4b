//! Numbers that cannot be guessed without the seed: ports are chosen by them (RFC 6056, RFC 7857 section 9).

use siphasher::sip::SipHasher24;

/// A stream of numbers that only moves on when something was stored by them, so that looking changes nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    keys: (u64, u64),
    round: u64,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw { keys: (seed, !seed.rotate_left(32)), round: 0 }
    }

    /// One of this round's numbers below `bound`, which is at least 1.
    pub(super) fn below(&self, bound: usize, which: u64) -> usize {
        let hasher = SipHasher24::new_with_keys(self.keys.0, self.keys.1);
        let mut message = [0; 16];
        message[..8].copy_from_slice(&self.round.to_le_bytes());
        message[8..].copy_from_slice(&which.to_le_bytes());
        // The high part of the product: as even as 64 bits allow, without division.
        ((u128::from(hasher.hash(&message)) * bound as u128) >> 64) as usize
    }

    /// The next round.
    pub(super) fn advance(&mut self) {
        self.round = self.round.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n10_ports_spread_over_the_range_and_hang_on_the_seed() {
        let numbers = |seed| {
            let mut draw = Draw::new(seed);
            let next = |_| {
                draw.advance();
                draw.below(64_512, 0)
            };
            (0..6400).map(next).collect::<Vec<_>>()
        };
        let drawn = numbers(7);
        assert_ne!(drawn, numbers(8));
        // A hundred each in 64 equal parts of the range; five deviations off is one case in a million.
        let part = |part| drawn.iter().filter(|&&number| number / 1008 == part).count();
        assert!((0..64).all(|index| (50..150).contains(&part(index))));
        let rising = drawn.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((2900..3500).contains(&rising), "{rising} of 6399 follow a smaller one");
    }
}
