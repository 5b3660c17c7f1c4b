//! Session tokens of version 2 of the protocol: secrets that open one instance's metadata for a time.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::identity::InstanceKey;

/// How long a token may live, in seconds (EC2 User Guide, "How Instance Metadata Service Version 2 works").
pub(super) const LIFETIMES: std::ops::RangeInclusive<u32> = 1..=21_600;

/// Live tokens an instance may have. With more, the one that would expire first is forgotten: a client that
/// still uses it is answered 401 and asks for another.
const PER_INSTANCE: usize = 4096;

/// Random bytes in a token. Twice as many hex digits are as many characters as EC2's tokens have.
const SECRET: usize = 28;

/// The tokens that are good now, by the instance each was given to.
#[derive(Default)]
pub(super) struct Tokens {
    // Looked up by a keyed hash, so the time of a look-up tells nothing about the tokens that are there.
    live: BTreeMap<InstanceKey, HashMap<String, Instant>>,
}

impl Tokens {
    /// A new token for `instance` that expires `lifetime` seconds after `now`.
    ///
    /// # Errors
    /// The kernel's, if it gives no random bytes.
    pub(super) fn issue(
        &mut self,
        instance: InstanceKey,
        lifetime: u32,
        now: Instant,
    ) -> Result<String, Errno> {
        let token = secret()?;
        let live = self.live.entry(instance).or_default();
        if live.len() >= PER_INSTANCE {
            make_room(live, now);
        }
        live.insert(token.clone(), now + Duration::from_secs(lifetime.into()));
        Ok(token)
    }

    /// Whether `token` was given to `instance` and has not expired by `now`.
    pub(super) fn admits(&self, instance: &InstanceKey, token: &str, now: Instant) -> bool {
        self.live.get(instance).and_then(|live| live.get(token)).is_some_and(|expiry| now < *expiry)
    }
}

fn make_room(live: &mut HashMap<String, Instant>, now: Instant) {
    live.retain(|_, expiry| now < *expiry);
    if live.len() >= PER_INSTANCE
        && let Some(soonest) = live.iter().min_by_key(|(_, expiry)| **expiry).map(|(token, _)| token.clone())
    {
        live.remove(&soonest);
    }
}

fn secret() -> Result<String, Errno> {
    let mut bytes = [0; SECRET];
    // Requests of up to 256 bytes are never cut short once the kernel's pool is ready (getrandom(2)).
    if getrandom(&mut bytes, GetRandomFlags::empty())? != SECRET {
        return Err(Errno::IO);
    }
    Ok(bytes.iter().fold(String::with_capacity(2 * SECRET), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use model::{AccountId, RegionKey, RegionName};

    use super::*;

    fn instance(account: &str) -> InstanceKey {
        let region =
            RegionKey { account: AccountId(account.to_owned()), region: RegionName("eu-west-1".to_owned()) };
        InstanceKey { region, instance: "i-0123456789abcdef0".parse().unwrap() }
    }

    #[test]
    fn a_token_is_good_for_its_instance_until_it_expires() {
        let (own, other) = (instance("000000000000"), instance("111111111111"));
        let mut tokens = Tokens::default();
        let now = Instant::now();
        let token = tokens.issue(own.clone(), 60, now).unwrap();
        assert_ne!(token, tokens.issue(own.clone(), 60, now).unwrap());
        assert!(tokens.admits(&own, &token, now + Duration::from_millis(59_999)));
        assert!(!tokens.admits(&own, &token, now + Duration::from_secs(60)));
        assert!(!tokens.admits(&other, &token, now));
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let own = instance("000000000000");
        let mut tokens = Tokens::default();
        let now = Instant::now();
        let soonest = tokens.issue(own.clone(), 30, now).unwrap();
        let others: Vec<String> =
            (1..PER_INSTANCE).map(|_| tokens.issue(own.clone(), 60, now).unwrap()).collect();
        assert!(tokens.admits(&own, &soonest, now));

        let newest = tokens.issue(own.clone(), 60, now).unwrap();
        assert!(!tokens.admits(&own, &soonest, now), "the one that expires first gives way");
        assert!(others.iter().chain([&newest]).all(|token| tokens.admits(&own, token, now)));

        let later = now + Duration::from_secs(60);
        tokens.issue(own.clone(), 60, later).unwrap();
        assert_eq!(tokens.live[&own].len(), 1, "expired ones give way together");
    }
}
