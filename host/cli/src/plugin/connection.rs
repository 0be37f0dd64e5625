//! The host's address and the token: from flags, the environment or a profile.
//!
//! A token is never an argument, because every process could read it there. The
//! token of a profile, or of the data in this folder, goes only to its own host.

use super::{failure::Failure, files};
use clap::Args;
use reqwest::Url;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const DEFAULT_ADDRESS: &str = "http://127.0.0.1:8081";
const ADDRESS_VARIABLE: &str = "TICKETING_ADMIN_URL";
const TOKEN_VARIABLE: &str = "TICKETING_ADMIN_TOKEN";
const PROFILE_VARIABLE: &str = "TICKETING_PROFILE";
const LOCAL_TOKEN: &str = "./data/admin-token";

/// The flags that choose the host and the token.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The URL of the operator listener [env: TICKETING_ADMIN_URL] [default: http://127.0.0.1:8081]
    #[arg(long, global = true, value_name = "URL")]
    address: Option<String>,
    /// A file with the operator token [env: TICKETING_ADMIN_TOKEN, the token itself] [default: ./data/admin-token if it exists and the host is on this machine]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A profile in profile.toml [env: TICKETING_PROFILE] [default: its `default`]
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
}

/// The address of a host, and the token for it.
#[derive(Debug)]
pub(crate) struct Target {
    /// Without a path.
    pub(crate) address: Url,
    pub(crate) token: Option<String>,
}

/// The file with the profiles.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// One host in it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    address: Option<String>,
    token: Option<String>,
    token_file: Option<PathBuf>,
}

impl Connection {
    /// The host that the command calls.
    ///
    /// # Errors
    /// When an address, a profile or a file with a token is wrong.
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let file = dirs::config_dir().map(|folder| folder.join("ticketing").join("profile.toml"));
        self.target_from(&|name| std::env::var(name).ok(), file.as_deref(), Path::new(LOCAL_TOKEN))
    }

    fn target_from(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
        profiles: Option<&Path>,
        local_token: &Path,
    ) -> Result<Target, Failure> {
        let wanted = self.profile.clone();
        let is_explicit = wanted.is_some();
        let profile = profile(wanted.or_else(|| variable(PROFILE_VARIABLE)), profiles)?;
        let (of_profile, of_variable) = (profile.address.clone(), variable(ADDRESS_VARIABLE));
        // A flag beats the environment. `--profile` is a flag too.
        let fallback = if is_explicit { of_profile.or(of_variable) } else { of_variable.or(of_profile) };
        let address = self.address.clone().or(fallback);
        let address = parse(address.as_deref().unwrap_or(DEFAULT_ADDRESS))?;
        let is_its_host = parse(profile.address.as_deref().unwrap_or(DEFAULT_ADDRESS))? == address;
        let token = match &self.token_file {
            Some(file) => Some(files::token(file)?),
            None => {
                let from_profile = if is_its_host { profile.secret()? } else { None };
                match (is_explicit, from_profile) {
                    (true, Some(token)) => Some(token),
                    (_, token) => variable(TOKEN_VARIABLE).or(token),
                }
            }
        };
        let token = match token {
            None if local_token.exists() && is_local(&address) => Some(files::token(local_token)?),
            token => token,
        };
        Ok(Target { address, token })
    }
}

impl Profile {
    fn secret(&self) -> Result<Option<String>, Failure> {
        match &self.token_file {
            Some(file) => files::token(file).map(Some),
            None => Ok(self.token.clone()),
        }
    }
}

/// The profile of this name, or the default one. Without either it is empty.
fn profile(wanted: Option<String>, file: Option<&Path>) -> Result<Profile, Failure> {
    let Some(file) = file.filter(|file| file.exists()) else {
        return match wanted {
            Some(name) => Err(Failure::Usage(match file {
                Some(file) => format!("there is no profile {name}: {} does not exist", file.display()),
                None => format!("there is no profile {name}: this user has no settings folder"),
            })),
            None => Ok(Profile::default()),
        };
    };
    let wrong = |problem: String| Failure::Usage(format!("{}: {problem}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let profiles: Profiles = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
    if profiles.profiles.values().any(|profile| profile.token.is_some()) && is_readable_by_others(file) {
        return Err(wrong("it contains a token and other users can read it; run `chmod 600` on it".to_owned()));
    }
    let Some(name) = wanted.or(profiles.default) else { return Ok(Profile::default()) };
    let known = profiles.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
    let found = profiles.profiles.get(&name).cloned();
    found.ok_or_else(|| wrong(format!("there is no profile {name}; there are: {known}")))
}

fn is_readable_by_others(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

fn parse(address: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| {
        Failure::Usage(format!("{address:?} is not the address of a host, such as {DEFAULT_ADDRESS}: {why}"))
    };
    let url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() && url.username().is_empty() && url.password().is_none() => Ok(url),
        "http" | "https" => Err(wrong("it has no host, or a user")),
        _ => Err(wrong("it does not begin with http:// or https://")),
    }
}

/// Whether the address is on this machine.
pub(super) fn is_local(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    const PROFILES: &str = "default = 'near'
        [profiles.near]
        address = 'http://127.0.0.1:9000'
        token = 'near-token'
        [profiles.far]
        address = 'https://far.example'
        token = 'far-token'";

    fn folder(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("profile.toml");
        fs::write(&file, PROFILES).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        fs::write(folder.path().join("local"), "local-token\n").unwrap();
        folder
    }

    /// The address and the token from these flags and variables.
    fn of(flags: Connection, variables: &[(&str, &str)], folder: &Path) -> (String, Option<String>) {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let target = flags.target_from(&variable, Some(&folder.join("profile.toml")), &folder.join("local")).unwrap();
        (target.address.to_string(), target.token)
    }

    fn named(profile: &str) -> Connection {
        Connection { profile: Some(profile.to_owned()), ..Connection::default() }
    }

    fn at(address: &str) -> Connection {
        Connection { address: Some(address.to_owned()), ..Connection::default() }
    }

    fn is(address: &str, token: &str) -> (String, Option<String>) {
        (address.to_owned(), Some(token.to_owned()))
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_default_profile() {
        let folder = folder(0o600);
        let variables = [(ADDRESS_VARIABLE, "http://10.0.0.1:1"), (TOKEN_VARIABLE, "variable")];
        assert_eq!(of(Connection::default(), &[], folder.path()), is("http://127.0.0.1:9000/", "near-token"));
        assert_eq!(of(Connection::default(), &variables, folder.path()), is("http://10.0.0.1:1/", "variable"));
        assert_eq!(of(named("far"), &variables, folder.path()), is("https://far.example/", "far-token"));
        assert_eq!(of(at("http://10.0.0.2:2"), &variables, folder.path()), is("http://10.0.0.2:2/", "variable"));
        let file = Connection { token_file: Some(folder.path().join("local")), ..named("far") };
        assert_eq!(of(file, &variables, folder.path()), is("https://far.example/", "local-token"));
    }

    #[test]
    fn a_token_goes_to_the_host_that_it_belongs_to_and_to_no_other() {
        let folder = folder(0o600);
        assert_eq!(of(at("https://elsewhere.example"), &[], folder.path()).1, None);
        assert_eq!(of(at("http://127.0.0.1:8081"), &[], folder.path()).1.as_deref(), Some("local-token"));
        let far = [(PROFILE_VARIABLE, "far"), (ADDRESS_VARIABLE, "https://elsewhere.example")];
        assert_eq!(of(Connection::default(), &far, folder.path()), ("https://elsewhere.example/".to_owned(), None));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let refusal = |flags: Connection, mode: u32| {
            let folder = folder(mode);
            let failure = flags.target_from(&|_| None, Some(&folder.path().join("profile.toml")), Path::new("none"));
            let failure = failure.unwrap_err();
            assert_eq!(failure.code(), 2, "{failure}");
            failure.to_string()
        };
        assert!(refusal(named("absent"), 0o600).contains("there is no profile absent; there are: far, near"));
        assert!(refusal(named("near"), 0o644).contains("chmod 600"));
        assert!(refusal(at("127.0.0.1:8081"), 0o600).contains("is not the address of a host"));
        assert!(refusal(at("ftp://host"), 0o600).contains("does not begin with http"));
        assert!(refusal(at("http://me:secret@host"), 0o600).contains("a user"));
    }
}
