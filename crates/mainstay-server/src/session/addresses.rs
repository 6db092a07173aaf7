use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many connections there are from each address.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, u32>>);

/// One connection that counts; dropped, it does not any more.
#[derive(Debug)]
pub(crate) struct Counted {
    addresses: Arc<Addresses>,
    from: IpAddr,
}

impl Addresses {
    /// Counts a connection from that address, unless there are `most` already; 0 is no limit.
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr, most: u32) -> Option<Counted> {
        let from = network(from);
        let mut counts = self.counts();
        let count = counts.entry(from).or_default();
        if most != 0 && *count >= most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Counted { addresses: self.clone(), from })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts();
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

/// What one customer of a provider has: an address, or of IPv6 a network of /64.
pub(crate) fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_connections_as_it_may() {
        let addresses = Arc::new(Addresses::default());
        let enter = |text: &str, most| addresses.enter(text.parse().unwrap(), most);
        let first = enter("192.0.2.1", 2).unwrap();
        let mapped = enter("::ffff:192.0.2.1", 2).unwrap();
        assert!(enter("192.0.2.1", 2).is_none());
        let _other = enter("192.0.2.2", 2).unwrap();
        let _unlimited = enter("192.0.2.1", 0).unwrap();
        drop(first);
        assert!(enter("192.0.2.1", 2).is_none(), "the unlimited one counts");
        drop(mapped);
        assert!(enter("192.0.2.1", 2).is_some());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let addresses = Arc::new(Addresses::default());
        let enter = |text: &str| addresses.enter(text.parse().unwrap(), 1);
        let _first = enter("2001:db8::1").unwrap();
        assert!(enter("2001:db8::ffff:1").is_none());
        assert!(enter("2001:db8:0:1::1").is_some());
    }
}
