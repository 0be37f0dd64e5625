//! Reads the interfaces of a component and compares them with those of the host.
//!
//! The host contains its `wit/` folder from the time of its build. It refuses a
//! component that was built against a different copy, and the error names the
//! differences. The linker would refuse the component too, but would not name them.

use super::{
    baseline::Baseline,
    type_comparer::{Direction, TypeComparer},
};
use host_api::verdict::TypeChange;
use std::{collections::BTreeMap, sync::LazyLock};
use wit_parser::{
    Function, InterfaceId, Resolve, TypeId, UnresolvedPackageGroup, WorldId, WorldItem, WorldKey, decoding,
};

/// The prefix of the packages that the host defines.
const PLATFORM: &str = "platform:";

/// The files of `wit/`: first the worlds, then the packages that they use.
const HOST_WIT: [(&str, &str); 16] = [
    ("plugin.wit", include_str!("../../../../wit/plugin.wit")),
    ("deps/handlers", include_str!("../../../../wit/deps/handlers/handlers.wit")),
    ("deps/http", include_str!("../../../../wit/deps/http/http.wit")),
    ("deps/identity", include_str!("../../../../wit/deps/identity/identity.wit")),
    ("deps/live", include_str!("../../../../wit/deps/live/live.wit")),
    ("deps/messaging", include_str!("../../../../wit/deps/messaging/messaging.wit")),
    ("deps/packed", include_str!("../../../../wit/deps/packed/packed.wit")),
    ("deps/payments", include_str!("../../../../wit/deps/payments/payments.wit")),
    ("deps/requests", include_str!("../../../../wit/deps/requests/requests.wit")),
    ("deps/signals", include_str!("../../../../wit/deps/signals/signals.wit")),
    ("deps/store", include_str!("../../../../wit/deps/store/store.wit")),
    ("deps/timers", include_str!("../../../../wit/deps/timers/timers.wit")),
    ("deps/wasi-clocks", include_str!("../../../../wit/deps/wasi-clocks/clocks.wit")),
    ("deps/wasi-config", include_str!("../../../../wit/deps/wasi-config/config.wit")),
    ("deps/wasi-logging", include_str!("../../../../wit/deps/wasi-logging/logging.wit")),
    ("deps/wasi-random", include_str!("../../../../wit/deps/wasi-random/random.wit")),
];

static HOST: LazyLock<Result<Interfaces, InterfacesError>> = LazyLock::new(|| {
    let [(name, text), deps @ ..] = HOST_WIT;
    Interfaces::from_wit((name, text), &deps, "host")
});

/// The imports and exports of a component, with all their types.
pub struct Interfaces {
    resolve: Resolve,
    world: WorldId,
}

/// Why the host refuses the interfaces of a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfacesError {
    /// The interfaces cannot be expressed in WIT.
    #[error("the component's interfaces cannot be read: {0}")]
    Unreadable(String),
    /// The interfaces have the names of the host's interfaces, but other types.
    #[error("the component was built against other interfaces than this host's: {}", list(.0))]
    NotOfThisHost(Vec<TypeChange>),
}

fn list(changes: &[TypeChange]) -> String {
    const SHOWN: usize = 10;
    let mut texts: Vec<_> = changes.iter().take(SHOWN).map(ToString::to_string).collect();
    if changes.len() > SHOWN {
        texts.push(format!("and {} more", changes.len() - SHOWN));
    }
    texts.join("; ")
}

/// The named items of one interface.
pub(super) struct Interface<'a> {
    /// The name, with its version.
    pub(super) name: String,
    pub(super) functions: BTreeMap<&'a str, &'a Function>,
    pub(super) types: BTreeMap<&'a str, TypeId>,
}

impl Interfaces {
    /// Reads the interfaces from the bytes of a component.
    ///
    /// # Errors
    /// When the interfaces cannot be expressed in WIT.
    pub fn read(bytes: &[u8]) -> Result<Self, InterfacesError> {
        match decoding::decode(bytes) {
            Ok(decoding::DecodedWasm::Component(resolve, world)) => Ok(Self { resolve, world }),
            Ok(decoding::DecodedWasm::WitPackage(..)) => {
                Err(InterfacesError::Unreadable("this is a WIT package, which has no code".to_owned()))
            }
            Err(error) => Err(InterfacesError::Unreadable(format!("{error:#}"))),
        }
    }

    /// Reads the interfaces and compares them with those of the host.
    ///
    /// # Errors
    /// When the interfaces cannot be read or are incompatible with the host.
    pub fn read_and_check(bytes: &[u8]) -> Result<Self, InterfacesError> {
        let interfaces = Self::read(bytes)?;
        let incompatible: Vec<_> = interfaces.against_host()?.into_iter().filter(|change| !change.compatible).collect();
        if incompatible.is_empty() { Ok(interfaces) } else { Err(InterfacesError::NotOfThisHost(incompatible)) }
    }

    /// Every difference between the platform's interfaces in this component and
    /// those of the host. An item that the component does not use is not a
    /// difference.
    ///
    /// # Errors
    /// When the interfaces of the host cannot be read. A test excludes this.
    pub fn against_host(&self) -> Result<Vec<TypeChange>, InterfacesError> {
        let host = HOST.as_ref().map_err(InterfacesError::clone)?;
        let mut comparer = TypeComparer::new(&host.resolve, &self.resolve, Baseline::Host);
        for direction in [Direction::Import, Direction::Export] {
            let offered = host.interfaces(Direction::Import);
            let of_host = host.interfaces(direction);
            for (name, interface) in self.interfaces(direction) {
                if !interface.name.starts_with(PLATFORM) {
                    continue;
                }
                // A component can also export an interface that the host offers.
                match of_host.get(&name).or_else(|| offered.get(&name)) {
                    Some(of_host) => comparer.interface(direction, of_host, &interface),
                    None => comparer.unknown_interface(direction, &interface),
                }
            }
        }
        Ok(comparer.finish())
    }

    /// Every difference between the interfaces of two components.
    pub fn against(&self, old: &Self) -> Vec<TypeChange> {
        let mut comparer = TypeComparer::new(&old.resolve, &self.resolve, Baseline::ActiveRevision);
        for direction in [Direction::Import, Direction::Export] {
            comparer.interfaces(direction, &old.interfaces(direction), &self.interfaces(direction));
        }
        comparer.finish()
    }

    /// The names of the imports.
    pub fn imports(&self) -> Vec<String> {
        self.items(Direction::Import).map(|(key, _)| self.name(key)).collect()
    }

    /// The names of the exports.
    pub fn exports(&self) -> Vec<String> {
        self.items(Direction::Export).map(|(key, _)| self.name(key)).collect()
    }

    fn from_wit(main: (&str, &str), deps: &[(&str, &str)], world: &str) -> Result<Self, InterfacesError> {
        let unreadable = |error: &dyn std::fmt::Display| InterfacesError::Unreadable(error.to_string());
        let parse = |&(name, text): &(&str, &str)| {
            UnresolvedPackageGroup::parse(name, text).map_err(|(_, error)| unreadable(&error))
        };
        let deps = deps.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let mut resolve = Resolve::default();
        let package = resolve.push_groups(parse(&main)?, deps).map_err(|error| unreadable(&error))?;
        let world = resolve.select_world(&[package], Some(world)).map_err(|error| unreadable(&error))?;
        Ok(Self { resolve, world })
    }

    fn items(&self, direction: Direction) -> impl Iterator<Item = (&WorldKey, &WorldItem)> {
        let world = self.resolve.worlds.get(self.world);
        world.into_iter().flat_map(move |world| match direction {
            Direction::Import => world.imports.iter(),
            Direction::Export => world.exports.iter(),
        })
    }

    /// The interfaces of one direction by their compatible names. The items that
    /// belong directly to the world count as one more interface.
    fn interfaces(&self, direction: Direction) -> BTreeMap<String, Interface<'_>> {
        let mut interfaces = BTreeMap::new();
        let mut direct = Interface { name: "the world".to_owned(), functions: BTreeMap::new(), types: BTreeMap::new() };
        for (key, item) in self.items(direction) {
            match item {
                WorldItem::Interface { id, .. } => {
                    let name = self.name(key);
                    interfaces.extend(self.interface(&name, *id).map(|interface| (compatible_name(&name), interface)));
                }
                WorldItem::Function(function) => drop(direct.functions.insert(&function.name, function)),
                WorldItem::Type { id, .. } => {
                    let name = self.resolve.types.get(*id).and_then(|ty| ty.name.as_deref());
                    direct.types.extend(name.map(|name| (name, *id)));
                }
            }
        }
        if !(direct.functions.is_empty() && direct.types.is_empty()) {
            interfaces.insert(String::new(), direct);
        }
        interfaces
    }

    fn interface(&self, name: &str, id: InterfaceId) -> Option<Interface<'_>> {
        let interface = self.resolve.interfaces.get(id)?;
        Some(Interface {
            name: name.to_owned(),
            functions: interface.functions.iter().map(|(name, function)| (name.as_str(), function)).collect(),
            types: interface.types.iter().map(|(name, id)| (name.as_str(), *id)).collect(),
        })
    }

    fn name(&self, key: &WorldKey) -> String {
        match key {
            WorldKey::Name(name) => name.clone(),
            WorldKey::Interface(id) => interface_name(&self.resolve, *id),
        }
    }
}

/// The name of an interface, with its package and version.
pub(super) fn interface_name(resolve: &Resolve, id: InterfaceId) -> String {
    let interface = resolve.interfaces.get(id);
    let package = interface.and_then(|interface| resolve.packages.get(interface.package?));
    match (interface.and_then(|interface| interface.name.as_deref()), package) {
        (Some(name), Some(package)) => package.name.interface_id(name),
        (Some(name), None) => name.to_owned(),
        (None, _) => "an interface without a name".to_owned(),
    }
}

/// The name of an interface with the part of the version that is the same in all
/// compatible versions.
fn compatible_name(name: &str) -> String {
    let Some((interface, version)) = name.split_once('@') else { return name.to_owned() };
    match semver::Version::parse(version) {
        Ok(version) if !version.pre.is_empty() => name.to_owned(),
        Ok(version) if version.major > 0 => format!("{interface}@{}", version.major),
        Ok(version) if version.minor > 0 => format!("{interface}@0.{}", version.minor),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests;
