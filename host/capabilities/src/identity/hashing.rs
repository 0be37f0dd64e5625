//! argon2id, on threads of its own, as many at a time as get a processor.

mod memory;
mod pace;
mod threads;

use super::{Error, OpenError};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use memory::Memory;
use pace::Pace;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use threads::Threads;
use tokio::sync::Semaphore;

/// Passwords are at most this long.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

const MAX_HASH_BYTES: usize = 256;
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// A stored hash says itself what it costs to check. A component cannot make
/// the host pay more than this, or than what is configured if that is more.
const MAX_STORED_MEMORY_KIB: u32 = 256 << 10;
const MAX_STORED_ITERATIONS: u32 = 16;
const MAX_STORED_PARALLELISM: u32 = 8;

/// Hashes and checks passwords. It lives as long as the host.
#[derive(Debug)]
pub(super) struct Hasher {
    settings: host_config::identity::Argon2Config,
    params: Params,
    admitted: Arc<Semaphore>,
    pace: Arc<Pace>,
    memory: Arc<Memory>,
    threads: Threads,
    computed: Arc<AtomicU64>,
}

impl Hasher {
    pub(super) fn new(settings: &host_config::identity::IdentityConfig) -> Result<Self, OpenError> {
        let argon2 = settings.argon2;
        let params = Params::new(argon2.memory_kib, argon2.iterations, argon2.parallelism, Some(OUTPUT_BYTES))
            .map_err(OpenError::Parameters)?;
        Ok(Self {
            settings: argon2,
            admitted: Arc::new(Semaphore::new(settings.hashing_concurrency + settings.hashing_queue)),
            pace: Arc::new(Pace::new(settings.hashing_concurrency)),
            memory: Arc::new(Memory::new(params.block_count())),
            threads: Threads::new(settings.hashing_concurrency).map_err(OpenError::Threads)?,
            computed: Arc::default(),
            params,
        })
    }

    /// A PHC string with a salt of its own.
    pub(super) async fn hash(&self, password: String) -> Result<String, Error> {
        let salt = Salt::new(&rand::random::<[u8; SALT_BYTES]>()).map_err(|error| failed(&error))?;
        let output = self.compute(password, self.params.clone(), salt).await?;
        let params = ParamsString::try_from(&self.params).map_err(|error| failed(&error))?;
        Ok(phc(params, salt, output).to_string())
    }

    /// Whether the password belongs to the hash. Without a hash this does the
    /// same work and says no.
    pub(super) async fn verify(&self, password: String, hash: Option<PasswordHash>) -> Result<bool, Error> {
        let exists = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => self.of_nobody()?,
        };
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Ok(false) };
        let params = Params::try_from(&hash).map_err(|error| failed(&error))?;
        let output = self.compute(password, params, salt).await?;
        // Outputs are compared in constant time.
        Ok(output == expected && exists)
    }

    /// Reads a stored hash and refuses one that is too costly to check.
    pub(super) fn parse(&self, hash: &str) -> Result<PasswordHash, Error> {
        let refuse = |reason: &str| Err(Error::Limit(format!("hash: {reason}")));
        if hash.len() > MAX_HASH_BYTES {
            return refuse("at most 256 bytes");
        }
        let Ok(parsed) = PasswordHash::new(hash) else {
            return refuse("must be a PHC string");
        };
        if parsed.algorithm != Algorithm::Argon2id.ident() || parsed.version != Some(Version::V0x13.into()) {
            return refuse("must be argon2id of version 19");
        }
        let Ok(params) = Params::try_from(&parsed) else {
            return refuse("has parameters that argon2id does not know");
        };
        let own = &self.settings;
        if params.m_cost() > MAX_STORED_MEMORY_KIB.max(own.memory_kib)
            || params.t_cost() > MAX_STORED_ITERATIONS.max(own.iterations)
            || params.p_cost() > MAX_STORED_PARALLELISM.max(own.parallelism)
        {
            return refuse("costs more to check than the host allows");
        }
        Ok(parsed)
    }

    /// How many hashes were computed since the host started.
    pub(super) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// A hash that no password has, with the parameters of those in use.
    fn of_nobody(&self) -> Result<PasswordHash, Error> {
        let params = ParamsString::try_from(&self.params).map_err(|error| failed(&error))?;
        let salt = Salt::new(&rand::random::<[u8; SALT_BYTES]>()).map_err(|error| failed(&error))?;
        let output = Output::new(&rand::random::<[u8; OUTPUT_BYTES]>()).map_err(|error| failed(&error))?;
        Ok(phc(params, salt, output))
    }

    async fn compute(&self, password: String, params: Params, salt: Salt) -> Result<Output, Error> {
        let memory = self.memory.clone();
        let computed = self.run(move || {
            let mut buffer = [0; Output::MAX_LENGTH];
            let Some(output) = buffer.get_mut(..params.output_len().unwrap_or(OUTPUT_BYTES)) else {
                return Err(failed(&"an output of that length"));
            };
            let blocks = params.block_count();
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash =
                |blocks: &mut [_]| argon2.hash_password_into_with_memory(password.as_bytes(), &salt, output, blocks);
            memory.lend(blocks, hash).map_err(|error| failed(&error))?;
            Output::new(output).map_err(|error| failed(&error))
        });
        computed.await?
    }

    /// Runs the work when it is its turn. The permits stay with the work: it
    /// cannot be stopped, so a caller that gives up makes no room for another.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let Ok(admitted) = self.admitted.clone().try_acquire_owned() else {
            metrics::counter!("identity_hashes_refused_total").increment(1);
            return Err(Error::Unavailable("too many passwords are being hashed".to_owned()));
        };
        let stopped = || Error::Unavailable("the host is stopping".to_owned());
        let turn = self.pace.turn().await.map_err(|_| stopped())?;
        let computed = self.computed.clone();
        let run = move || {
            let result = turn.compute(work);
            computed.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("identity_hashes_total").increment(1);
            drop(admitted);
            result
        };
        let running = self.threads.run(run).ok_or_else(stopped)?;
        running.await.map_err(|_| stopped())
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Unavailable(format!("hashing failed: {error}"))
}

fn phc(params: ParamsString, salt: Salt, output: Output) -> PasswordHash {
    PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params,
        salt: Some(salt),
        hash: Some(output),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::settings, *};
    use argon2::{PasswordHasher, PasswordVerifier};
    use futures::future::join_all;

    #[tokio::test]
    async fn a_hash_has_the_parameters_in_use_and_a_fresh_salt() {
        let hasher = Hasher::new(&settings()).unwrap();
        let one = hasher.hash("correct horse".to_owned()).await.unwrap();
        let two = hasher.hash("correct horse".to_owned()).await.unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{one}");
        assert_ne!(one, two);
        let parsed = hasher.parse(&one).unwrap();
        assert!(hasher.verify("correct horse".to_owned(), Some(parsed)).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_is_what_argon2_makes_of_the_password() {
        let hasher = Hasher::new(&settings()).unwrap();
        let own = hasher.hash("correct horse".to_owned()).await.unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &PasswordHash::new(&own).unwrap()).is_ok());
        // With other parameters than those in use, and a shorter output.
        let params = Params::new(128, 3, 2, Some(24)).unwrap();
        let other = Argon2::from(params).hash_password_with_salt(b"correct horse", b"a salt of its own").unwrap();
        assert!(hasher.verify("correct horse".to_owned(), Some(other.clone())).await.unwrap());
        assert!(!hasher.verify("correct house".to_owned(), Some(other)).await.unwrap());
    }

    #[tokio::test]
    async fn the_hash_of_nobody_costs_what_a_real_one_does_and_matches_nothing() {
        let hasher = Hasher::new(&settings()).unwrap();
        let real = hasher.hash(String::new()).await.unwrap();
        let real = hasher.parse(&real).unwrap();
        let nobody = hasher.of_nobody().unwrap();
        assert_eq!(real.params, nobody.params);
        assert_eq!(real.algorithm, nobody.algorithm);
        let before = hasher.computed();
        assert!(!hasher.verify("x".to_owned(), None).await.unwrap());
        assert_eq!(hasher.computed(), before + 1);
    }

    #[test]
    fn a_stored_hash_cannot_be_ruinous() {
        let hasher = Hasher::new(&settings()).unwrap();
        let hash = |params: &str| {
            let text = format!("$argon2id$v=19${params}$c29tZXNhbHRzb21l$WOSbJLLOUwTOoMTSmHfqFQ");
            hasher.parse(&text).map(drop)
        };
        assert!(hash("m=19456,t=2,p=1").is_ok());
        for costly in ["m=4194304,t=1,p=1", "m=64,t=100000,p=1", "m=4096,t=1,p=64"] {
            assert!(matches!(hash(costly), Err(Error::Limit(_))), "{costly}");
        }
        for wrong in ["", "plain", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21l$WOSbJLLOUwTOoMTSmHfqFQ"] {
            assert!(matches!(hasher.parse(wrong), Err(Error::Limit(_))), "{wrong}");
        }
    }

    #[tokio::test]
    async fn beyond_the_queue_a_password_is_refused_at_once() {
        let mut settings = settings();
        settings.hashing_concurrency = 1;
        settings.hashing_queue = 2;
        settings.argon2.memory_kib = 8_192;
        let hasher = Hasher::new(&settings).unwrap();
        let results = join_all((0..10).map(|_| hasher.hash("x".to_owned()))).await;
        let refused = results.iter().filter(|result| matches!(result, Err(Error::Unavailable(_)))).count();
        assert_eq!((refused, hasher.computed()), (7, 3));
    }
}
