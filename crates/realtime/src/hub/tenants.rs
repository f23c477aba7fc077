//! What all sockets of one tenant take together, or of one account that has none, so that a loud one leaves room for the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::authority::{Identity, Refusal, VISITOR};
use crate::limits::{Bucket, Limits};

/// The shares of all tenants that have a socket open. Of who belongs to no tenant the sockets are counted; all else is bounded per socket.
pub(crate) struct Tenants {
    connections: usize,
    account_connections: usize,
    visitor_connections: usize,
    joins_per_second: u32,
    messages_per_second: u32,
    socket_messages_per_second: u32,
    shares: Mutex<HashMap<String, Share>>,
    accounts: Mutex<HashMap<String, usize>>,
    by_http: Mutex<HashMap<String, Bucket>>,
}

/// Senders by HTTP that are remembered; those who have sent nothing for some seconds are forgotten first.
const MOST_SENDERS: usize = 4_096;

struct Share {
    connections: usize,
    joins: Bucket,
    messages: Bucket,
}

impl Tenants {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            connections: limits.tenant_connections,
            account_connections: limits.account_connections,
            visitor_connections: limits.visitor_connections,
            joins_per_second: limits.tenant_joins_per_second,
            messages_per_second: limits.tenant_messages_per_second,
            socket_messages_per_second: limits.messages_per_second,
            shares: Mutex::default(),
            accounts: Mutex::default(),
            by_http: Mutex::default(),
        }
    }

    /// Takes a place for a socket; fails when the tenant, or the account that has none, has as many as it may.
    pub(super) fn enter(&self, identity: &Identity, now: Duration) -> Result<(), Refusal> {
        let Some(tenant) = &identity.tenant else { return self.enter_alone(identity) };
        let mut shares = self.lock();
        let share = shares.entry(tenant.to_owned()).or_insert_with(|| Share {
            connections: 0,
            joins: Bucket::new(self.joins_per_second, self.joins_per_second.saturating_mul(2), now),
            messages: Bucket::new(self.messages_per_second, self.messages_per_second.saturating_mul(10), now),
        });
        let has_room = share.connections < self.connections;
        share.connections += usize::from(has_room);
        if has_room { Ok(()) } else { Err(Refusal::TooManyOfTenant) }
    }

    /// A person proves who they are for an hour at a time; whose proof does not end is an API key. Behind the key of visitors may be everybody.
    fn enter_alone(&self, identity: &Identity) -> Result<(), Refusal> {
        let most = match identity.expires_at {
            _ if identity.role == VISITOR => self.visitor_connections,
            Some(_) => self.account_connections,
            None => self.connections,
        };
        let mut accounts = self.accounts();
        let open = accounts.get(&identity.subject).copied().unwrap_or(0);
        if open >= most {
            return Err(Refusal::TooManyOfAccount);
        }
        accounts.insert(identity.subject.clone(), open + 1);
        Ok(())
    }

    /// Gives a socket's place back.
    pub(super) fn leave(&self, identity: &Identity) {
        let Some(tenant) = &identity.tenant else { return self.leave_alone(&identity.subject) };
        let mut shares = self.lock();
        if let Some(share) = shares.get_mut(tenant) {
            share.connections = share.connections.saturating_sub(1);
            if share.connections == 0 {
                shares.remove(tenant);
            }
        }
    }

    fn leave_alone(&self, subject: &str) {
        let mut accounts = self.accounts();
        if let Some(open) = accounts.get_mut(subject) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                accounts.remove(subject);
            }
        }
    }

    /// Counts a join; `false` when the tenant has joined too often.
    pub(crate) fn may_join(&self, tenant: Option<&str>, now: Duration) -> bool {
        self.take(tenant, |share| &mut share.joins, now)
    }

    /// Counts a message; `false` when the tenant has sent too many.
    pub(crate) fn may_send(&self, tenant: Option<&str>, now: Duration) -> bool {
        self.take(tenant, |share| &mut share.messages, now)
    }

    /// Counts broadcasts that come by HTTP, all or none; `false` when there were too many. A tenant's callers share what its sockets may send; who
    /// belongs to none may send what a socket may.
    pub(crate) fn may_send_by_http(&self, tenant: Option<&str>, subject: &str, messages: usize, now: Duration) -> bool {
        let (sender, rate) = match tenant {
            Some(tenant) => (format!("tenant {tenant}"), self.messages_per_second),
            None => (format!("caller {subject}"), self.socket_messages_per_second),
        };
        let mut senders = self.by_http.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() >= MOST_SENDERS && !senders.contains_key(&sender) {
            senders.retain(|_, bucket| !bucket.is_full(now));
            if senders.len() >= MOST_SENDERS {
                return false;
            }
        }
        senders.entry(sender).or_insert_with(|| Bucket::new(rate, rate.saturating_mul(10), now)).take_all(messages, now)
    }

    /// How many tenants, and accounts without one, are counted.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().len() + self.accounts().len()
    }

    fn take(&self, tenant: Option<&str>, bucket: impl Fn(&mut Share) -> &mut Bucket, now: Duration) -> bool {
        let Some(tenant) = tenant else { return true };
        self.lock().get_mut(tenant).is_none_or(|share| bucket(share).take(now))
    }

    /// The shares, even after a panic elsewhere: every change to them is complete in itself.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::lock`].
    fn accounts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
