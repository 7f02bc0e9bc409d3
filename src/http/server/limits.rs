//! Rate limits: failed log-ins of an account from an address and from everywhere, log-ins and registrations from an
//! address, changes of a password.
//!
//! Each is a bucket that refills evenly over a minute (the generic cell rate algorithm, ITU-T I.371): one number for
//! each account or address, forgotten when the bucket is full. Nobody is locked out, and no request is delayed.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::problem::Problem;
use crate::model::UserId;
use crate::service::login::{Client, Subject};

const MINUTE: Duration = Duration::from_mins(1);

/// The number of buckets at which full ones are removed
const REMEMBERED: usize = 100_000;

/// How many log-ins of an account may fail from everywhere, for one that may from an address
const EVERYWHERE: u32 = 10;

/// How many receipts before a deletion a user gets in a minute: each looks at every message of theirs.
const RECEIPTS: u32 = 6;

/// How much may be tried in a minute; 0: as much as one likes
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Failed log-ins of an account from an address; changes of an account's password
    pub failures: u32,
    /// Log-ins from an address, and those of an account that do not fail; receipts of an account's deletion, but 6 at most
    pub log_ins: u32,
    /// Registrations from an address
    pub registrations: u32,
}

/// What is counted.
pub(crate) struct Limits {
    failures: Limit<(Subject, Client)>,
    failures_everywhere: Limit<Subject>,
    successes: Limit<Subject>,
    /// Changes of a password, with the one before it
    pub(crate) changes: Limit<UserId>,
    /// Receipts before a deletion
    pub(crate) receipts: Limit<UserId>,
    pub(crate) log_ins: Limit<Client>,
    pub(crate) registrations: Limit<Client>,
}

/// Whose password is tried, and from where
pub(crate) struct Tried {
    by: (Subject, Client),
    is_familiar: bool,
}

impl Tried {
    pub(crate) fn new(subject: Subject, client: Client, is_familiar: bool) -> Self {
        Self { by: (subject, client.network()), is_familiar }
    }
}

impl Limits {
    pub(crate) fn new(allowed: Allowed) -> Self {
        Self {
            failures: Limit::new(allowed.failures),
            failures_everywhere: Limit::new(allowed.failures.saturating_mul(EVERYWHERE)),
            successes: Limit::new(allowed.log_ins),
            changes: Limit::new(allowed.failures),
            receipts: Limit::new(allowed.log_ins.min(RECEIPTS)),
            log_ins: Limit::new(allowed.log_ins),
            registrations: Limit::new(allowed.registrations),
        }
    }

    /// Whether a password may be verified. Failures elsewhere do not lock out a user who is logged in at this address.
    pub(crate) fn may_try(&self, tried: &Tried) -> Result<(), Problem> {
        let Tried { by, is_familiar } = tried;
        self.failures.look(by)?;
        self.successes.look(&by.0)?;
        if *is_familiar { Ok(()) } else { self.failures_everywhere.look(&by.0) }
    }

    /// Counts a password that was looked at.
    pub(crate) fn count(&self, tried: &Tried, is_right: bool) {
        let Tried { by, .. } = tried;
        if is_right {
            self.successes.charge(&by.0);
        } else {
            self.failures.charge(by);
            self.failures_everywhere.charge(&by.0);
        }
    }

    /// Forgets an attempt.
    pub(crate) fn forget(&self) {
        self.failures.full_at().clear();
        self.failures_everywhere.full_at().clear();
        self.successes.full_at().clear();
        self.changes.full_at().clear();
        self.receipts.full_at().clear();
        self.log_ins.full_at().clear();
        self.registrations.full_at().clear();
    }
}

/// How often one thing may be tried by each who tries.
pub(crate) struct Limit<K: ?Sized> {
    /// None: as often as one likes
    interval: Option<Duration>,
    /// When each bucket is full again, by a hash of its name, so that long names take no more memory
    full_at: Mutex<HashMap<u64, Instant>>,
    hashes: RandomState,
    key: std::marker::PhantomData<fn(&K)>,
}

impl<K: Hash + ?Sized> Limit<K> {
    fn new(per_minute: u32) -> Self {
        let interval = MINUTE.checked_div(per_minute);
        Self { interval, full_at: Mutex::default(), hashes: RandomState::new(), key: std::marker::PhantomData }
    }

    fn full_at(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a try.
    pub(crate) fn take(&self, key: &K) -> Result<(), Problem> {
        self.take_at(key, Instant::now()).map_err(|wait| Problem::rate_limited(wait.as_secs() + 1))
    }

    /// Whether another try would be counted, without counting one.
    fn look(&self, key: &K) -> Result<(), Problem> {
        self.look_at(key, Instant::now()).map_err(|wait| Problem::rate_limited(wait.as_secs() + 1))
    }

    fn look_at(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let Some(interval) = self.interval else { return Ok(()) };
        let full_at = self.full_at().get(&self.hashes.hash_one(key)).copied().unwrap_or(now);
        next(full_at, interval, now).map(drop)
    }

    /// Counts a try that was made, also beyond the limit: those under way at once cost the tries that follow.
    fn charge(&self, key: &K) {
        let now = Instant::now();
        self.count_at(key, now, |full_at, interval| full_at.max(now) + interval);
    }

    /// Counts a try, or says how long it is until the next.
    fn take_at(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut taken = Ok(());
        self.count_at(key, now, |full_at, interval| {
            next(full_at, interval, now).unwrap_or_else(|wait| {
                taken = Err(wait);
                full_at
            })
        });
        taken
    }

    fn count_at(&self, key: &K, now: Instant, count: impl FnOnce(Instant, Duration) -> Instant) {
        let Some(interval) = self.interval else { return };
        let mut all = self.full_at();
        if all.len() >= REMEMBERED {
            all.retain(|_, full_at| *full_at > now);
        }
        let full_at = all.entry(self.hashes.hash_one(key)).or_insert(now);
        *full_at = count(*full_at, interval);
    }
}

/// When a bucket is full again after one more try, or how long it is until there may be one.
fn next(full_at: Instant, interval: Duration, now: Instant) -> Result<Instant, Duration> {
    let next = full_at.max(now) + interval;
    match next.checked_duration_since(now + MINUTE) {
        Some(wait) if !wait.is_zero() => Err(wait),
        _ => Ok(next),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::RETRY_AFTER;
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn as_many_as_are_allowed_in_a_minute_and_then_one_after_the_other() {
        let limit = Limit::<str>::new(10);
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(limit.take_at("ann", start), Ok(()));
        }
        assert_eq!(limit.take_at("ann", start), Err(Duration::from_secs(6)));
        assert_eq!(limit.take_at("bob", start), Ok(()));
        assert_eq!(limit.take_at("ann", start + Duration::from_secs(5)), Err(Duration::from_secs(1)));
        assert_eq!(limit.take_at("ann", start + Duration::from_secs(6)), Ok(()));
        assert_eq!(limit.take_at("ann", start + Duration::from_secs(6)), Err(Duration::from_secs(6)));
    }

    #[test]
    fn who_only_looks_has_not_tried() {
        let limit = Limit::<str>::new(1);
        let now = Instant::now();
        assert!((0..10).all(|_| limit.look_at("ann", now).is_ok()));
        assert_eq!(limit.take_at("ann", now), Ok(()));
        assert_eq!(limit.look_at("ann", now), limit.take_at("ann", now));
        assert!(limit.look_at("ann", now).is_err());
        assert!((0..1000).all(|_| Limit::<str>::new(0).take_at("ann", now).is_ok()));
    }

    #[test]
    fn a_client_that_waits_as_long_as_told_is_accepted_again() {
        let limit = Limit::<str>::new(1);
        let start = Instant::now();
        assert!(limit.take("ann").is_ok());
        for refused in [limit.take("ann"), limit.look("ann")] {
            let told = refused.unwrap_err().into_response().headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
            assert!(Instant::now() + Duration::from_secs(told) >= start + MINUTE, "{told}");
        }
    }

    fn tried(name: &str, address: &str, is_familiar: bool) -> Tried {
        Tried::new(Subject::Nobody(name.to_owned()), Client::At(address.parse().unwrap()), is_familiar)
    }

    #[test]
    fn however_many_come_who_is_throttled_stays_so_and_who_is_not_is_forgotten() {
        let limit = Limit::<str>::new(10);
        let start = Instant::now();
        while limit.take_at("ann", start).is_ok() {}
        let now = start + Duration::from_secs(1);
        for index in 0..=REMEMBERED {
            assert_eq!(limit.take_at(&index.to_string(), now), Ok(()));
        }
        assert_eq!(limit.look_at("ann", now), Err(Duration::from_secs(5)));
        assert_eq!(limit.take_at("ann", now), Err(Duration::from_secs(5)));
        assert_eq!(limit.full_at().len(), REMEMBERED + 2, "each of them has tried");
        // All but ann may do again all that may be done.
        let later = start + Duration::from_secs(50);
        assert_eq!(limit.take_at("bob", later), Ok(()));
        assert_eq!(limit.full_at().len(), 2);
        for _ in 0..8 {
            assert_eq!(limit.take_at("ann", later), Ok(()));
        }
        assert_eq!(limit.take_at("ann", later), Err(Duration::from_secs(4)));
    }

    #[test]
    fn failures_count_there_and_a_tenth_of_it_everywhere_but_for_those_who_are_logged_in_there() {
        let limits = Limits::new(Allowed { failures: 3, log_ins: 0, registrations: 0 });
        for host in 0..10 {
            for count in 0..3 {
                let here = tried("ann", &format!("192.0.2.{host}"), false);
                assert!(limits.may_try(&here).is_ok(), "{host} {count}");
                limits.count(&here, false);
            }
            assert_eq!(limits.may_try(&tried("ann", "198.51.100.1", false)).is_ok(), host < 9, "{host}");
            assert!(limits.may_try(&tried("ann", &format!("192.0.2.{host}"), true)).is_err(), "{host}");
        }
        assert!(limits.may_try(&tried("ann", "198.51.100.1", true)).is_ok());
        assert!(limits.may_try(&tried("bob", "192.0.2.1", false)).is_ok());
    }

    #[test]
    fn a_success_is_counted_for_the_account_alone() {
        let limits = Limits::new(Allowed { failures: 1, log_ins: 2, registrations: 0 });
        for _ in 0..2 {
            assert!(limits.may_try(&tried("ann", "192.0.2.1", false)).is_ok());
            limits.count(&tried("ann", "192.0.2.1", false), true);
        }
        assert!(limits.may_try(&tried("ann", "192.0.2.2", true)).is_err());
        assert!(limits.may_try(&tried("bob", "192.0.2.1", false)).is_ok());
    }

    #[test]
    fn tries_that_were_under_way_at_once_cost_those_that_follow() {
        let limit: Limit<str> = Limit::new(2);
        for _ in 0..6 {
            limit.charge("ann");
        }
        let wait = limit.look_at("ann", Instant::now()).unwrap_err();
        assert!(wait > MINUTE, "{wait:?}");
    }
}
