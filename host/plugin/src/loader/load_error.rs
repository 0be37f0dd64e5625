//! The reasons why a plugin was not loaded.

use host_artifact::{
    artifact::ArtifactError, compatibility::InterfacesError, manifest::ManifestError, permissions::WorldError,
};
use host_config::ConfigError;
use host_engine::{CompileError, Failure, FootprintError};
use host_store::{Error as StoreError, MigrationError};

/// The reason why a plugin was not loaded. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not a plugin.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The host does not offer an import, or an export is missing.
    #[error(transparent)]
    World(#[from] WorldError),
    /// It was built for other interfaces.
    #[error(transparent)]
    Interfaces(#[from] InterfacesError),
    /// The compiler refused it, or a limit ended the compiler.
    #[error("the component cannot be compiled: {0}")]
    Compile(CompileError),
    /// An instance would begin with more than a limit allows.
    #[error(transparent)]
    Footprint(#[from] FootprintError),
    /// The same, with a limit that the policy has lowered.
    #[error("{error}, which is the ceiling in its policy; an administrator can: {command}")]
    Ceiling {
        /// The limit and both values.
        error: FootprintError,
        /// The command that raises the ceiling.
        command: String,
    },
    /// The linker refused it.
    #[error("the component cannot be linked: {0}")]
    Link(String),
    /// The host failed.
    #[error("the host cannot load it: {0}")]
    Host(std::io::Error),
    /// A setting is wrong.
    #[error("a setting is wrong: {0}")]
    Config(#[from] ConfigError),
    /// A limit that the operator set is out of its bounds.
    #[error(transparent)]
    Limits(#[from] ManifestError),
    /// Its database cannot be opened.
    #[error("its database cannot be opened: {0:?}")]
    Database(StoreError),
    /// A migration failed.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// It does not start.
    #[error(transparent)]
    Start(#[from] Failure),
}

impl From<CompileError> for LoadError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Host(error) => Self::Host(error),
            error => Self::Compile(error),
        }
    }
}
