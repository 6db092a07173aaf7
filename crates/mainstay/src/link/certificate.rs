//! Until when what a peer showed is valid.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The end of the certificate of the last handshake.
#[derive(Debug)]
pub(crate) struct Expiry(AtomicI64);

/// No handshake yet.
const UNKNOWN: i64 = i64::MIN;

impl Default for Expiry {
    fn default() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }
}

impl Expiry {
    /// Notes a certificate that a peer showed, in DER. One that cannot be read changes nothing.
    pub(crate) fn note(&self, certificate: &[u8]) {
        if let Ok((_, certificate)) = X509Certificate::from_der(certificate) {
            let end = certificate.validity().not_after.timestamp();
            self.0.store(end, Ordering::Relaxed);
        }
    }

    /// When that is, if there was a handshake.
    pub(crate) fn get(&self) -> Option<SystemTime> {
        let seconds = self.0.load(Ordering::Relaxed);
        let span = Duration::from_secs(seconds.unsigned_abs());
        match seconds {
            UNKNOWN => None,
            0.. => SystemTime::UNIX_EPOCH.checked_add(span),
            _ => SystemTime::UNIX_EPOCH.checked_sub(span),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn the_last_certificate_that_can_be_read_counts() {
        let expiry = Expiry::default();
        assert_eq!(expiry.get(), None);
        let key = KeyPair::generate().unwrap();
        for (year, month, day, seconds) in [
            (2030, 1, 2, 1_893_542_400),
            (2049, 12, 31, 2_524_521_600),
            (2051, 6, 1, 2_569_190_400_u64),
        ] {
            let mut params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(year, month, day);
            expiry.note(params.self_signed(&key).unwrap().der());
            let wanted = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(expiry.get(), Some(wanted), "{year}");
            expiry.note(b"no certificate");
            assert_eq!(expiry.get(), Some(wanted));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let expiry = Expiry::default();
            expiry.note(&bytes);
            let _ = expiry.get();
        }
    }
}
