//! Hashes passwords with argon2id on threads that may block. The number of concurrent
//! hashes is limited. New passwords and checks of passwords wait in queues of their
//! own, so a flood of sign-ups stops no sign-in.

mod buffer_pool;

use super::{Error, OpenError};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use buffer_pool::BufferPool;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

const MAX_HASH_BYTES: usize = 256;
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// A stored hash contains the parameters that decide the cost of its check. The host
/// accepts parameters up to these limits, or up to the configured ones if those are
/// higher.
const MAX_STORED_MEMORY_KIB: u32 = 256 << 10;
const MAX_STORED_ITERATIONS: u32 = 16;
const MAX_STORED_PARALLELISM: u32 = 8;

/// Hashes and verifies passwords. It lives as long as the host.
#[derive(Debug)]
pub(super) struct Hasher {
    config: host_config::identity::Argon2Config,
    params: Params,
    new_passwords: Queue,
    checks: Queue,
    /// The hashes of both kinds at the same time.
    running: Arc<Semaphore>,
    buffers: Arc<BufferPool>,
    computed: Arc<AtomicU64>,
}

/// The hashes of one kind that wait or run.
#[derive(Debug)]
struct Queue {
    /// A place for each of them.
    places: Arc<Semaphore>,
    /// As many of them as there are threads wait for a thread. So the hash of another
    /// kind waits for these at most, however long the queue is.
    turns: Arc<Semaphore>,
}

impl Queue {
    fn new(config: &host_config::identity::IdentityConfig) -> Self {
        let threads = config.hashing_concurrency;
        Self {
            places: Arc::new(Semaphore::new(threads + config.hashing_queue)),
            turns: Arc::new(Semaphore::new(threads)),
        }
    }
}

impl Hasher {
    pub(super) fn new(config: &host_config::identity::IdentityConfig) -> Result<Self, OpenError> {
        let argon2 = config.argon2;
        let params = Params::new(argon2.memory_kib, argon2.iterations, argon2.parallelism, Some(OUTPUT_BYTES))
            .map_err(OpenError::Parameters)?;
        Ok(Self {
            config: argon2,
            new_passwords: Queue::new(config),
            checks: Queue::new(config),
            running: Arc::new(Semaphore::new(config.hashing_concurrency)),
            buffers: Arc::new(BufferPool::new(params.block_count())),
            computed: Arc::default(),
            params,
        })
    }

    /// Hashes a password with a new salt. Returns a PHC string.
    pub(super) async fn hash(&self, password: String) -> Result<String, Error> {
        let salt = Salt::new(&rand::random::<[u8; SALT_BYTES]>()).map_err(|error| failed(&error))?;
        let output = self.compute(&self.new_passwords, password, self.params.clone(), salt).await?;
        let params = ParamsString::try_from(&self.params).map_err(|error| failed(&error))?;
        Ok(phc(params, salt, output).to_string())
    }

    /// Returns whether the password belongs to the hash. Without a hash it does the
    /// same work and returns `false`.
    pub(super) async fn verify(&self, password: String, hash: Option<PasswordHash>) -> Result<bool, Error> {
        let exists = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => self.dummy_hash()?,
        };
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Ok(false) };
        let params = Params::try_from(&hash).map_err(|error| failed(&error))?;
        let output = self.compute(&self.checks, password, params, salt).await?;
        // The comparison of outputs takes constant time.
        Ok(output == expected && exists)
    }

    /// Parses a stored hash. Refuses a hash that is too expensive to check.
    pub(super) fn parse(&self, hash: &str) -> Result<PasswordHash, Error> {
        let refuse = |reason: &str| Err(Error::Limit(format!("hash: {reason}")));
        if hash.len() > MAX_HASH_BYTES {
            return refuse("at most 256 bytes");
        }
        let Ok(parsed) = PasswordHash::new(hash) else {
            return refuse("must be a PHC string");
        };
        if parsed.algorithm != Algorithm::Argon2id.ident() || parsed.version != Some(Version::V0x13.into()) {
            return refuse("must be argon2id, version 19");
        }
        let Ok(params) = Params::try_from(&parsed) else {
            return refuse("has invalid parameters for argon2id");
        };
        let config = &self.config;
        if params.m_cost() > MAX_STORED_MEMORY_KIB.max(config.memory_kib)
            || params.t_cost() > MAX_STORED_ITERATIONS.max(config.iterations)
            || params.p_cost() > MAX_STORED_PARALLELISM.max(config.parallelism)
        {
            return refuse("is more expensive to check than the host allows");
        }
        Ok(parsed)
    }

    /// How many hashes the host has computed since its start.
    #[cfg(test)]
    pub(super) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// A hash that no password has, with the configured parameters.
    fn dummy_hash(&self) -> Result<PasswordHash, Error> {
        let params = ParamsString::try_from(&self.params).map_err(|error| failed(&error))?;
        let salt = Salt::new(&rand::random::<[u8; SALT_BYTES]>()).map_err(|error| failed(&error))?;
        let output = Output::new(&rand::random::<[u8; OUTPUT_BYTES]>()).map_err(|error| failed(&error))?;
        Ok(phc(params, salt, output))
    }

    async fn compute(&self, queue: &Queue, password: String, params: Params, salt: Salt) -> Result<Output, Error> {
        let buffers = self.buffers.clone();
        let computed = self.run(queue, move || {
            let mut buffer = [0; Output::MAX_LENGTH];
            let Some(output) = buffer.get_mut(..params.output_len().unwrap_or(OUTPUT_BYTES)) else {
                return Err(failed(&"the length of the output is not allowed"));
            };
            let blocks = params.block_count();
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash =
                |blocks: &mut [_]| argon2.hash_password_into_with_memory(password.as_bytes(), &salt, output, blocks);
            buffers.with_buffer(blocks, hash).map_err(|error| failed(&error))?;
            Output::new(output).map_err(|error| failed(&error))
        });
        computed.await?
    }

    /// Runs the work on a thread that may block. The work keeps its permits until it ends,
    /// because it cannot be stopped: a caller that gives up frees no thread.
    async fn run<T: Send + 'static>(
        &self,
        queue: &Queue,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let Ok(place) = queue.places.clone().try_acquire_owned() else {
            metrics::counter!("identity_hashes_refused_total").increment(1);
            return Err(Error::Unavailable("too many passwords are being hashed".to_owned()));
        };
        let stopped = || Error::Unavailable("the host is stopping".to_owned());
        let turn = queue.turns.clone().acquire_owned().await.map_err(|_| stopped())?;
        let permit = self.running.clone().acquire_owned().await.map_err(|_| stopped())?;
        let computed = self.computed.clone();
        let run = move || {
            let result = work();
            computed.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("identity_hashes_total").increment(1);
            drop((permit, turn, place));
            result
        };
        spawn_blocking(run).await.map_err(|_| stopped())
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
mod tests;
