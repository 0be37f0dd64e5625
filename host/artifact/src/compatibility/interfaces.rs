//! The interfaces of a component, and those of this host.
//!
//! The host's are its `wit/` folder, as it was when the host was built. A
//! component that was built against another copy of it is refused here, by
//! the name of what differs, and not by the linker.

use super::{
    TypeChange,
    render::Words,
    types::{Differ, Side},
};
use std::{collections::BTreeMap, sync::LazyLock};
use wit_parser::{
    Function, InterfaceId, Resolve, TypeId, UnresolvedPackageGroup, WorldId, WorldItem, WorldKey, decoding,
};

/// The packages whose interfaces are the host's own.
const PLATFORM: &str = "platform:";

/// `wit/`: the worlds first, then what they are made of.
const HOST_WIT: [(&str, &str); 11] = [
    ("plugin.wit", include_str!("../../../../wit/plugin.wit")),
    ("deps/http", include_str!("../../../../wit/deps/http/http.wit")),
    ("deps/identity", include_str!("../../../../wit/deps/identity/identity.wit")),
    ("deps/messaging", include_str!("../../../../wit/deps/messaging/messaging.wit")),
    ("deps/payments", include_str!("../../../../wit/deps/payments/payments.wit")),
    ("deps/store", include_str!("../../../../wit/deps/store/store.wit")),
    ("deps/timers", include_str!("../../../../wit/deps/timers/timers.wit")),
    ("deps/wasi-clocks", include_str!("../../../../wit/deps/wasi-clocks/clocks.wit")),
    ("deps/wasi-config", include_str!("../../../../wit/deps/wasi-config/config.wit")),
    ("deps/wasi-logging", include_str!("../../../../wit/deps/wasi-logging/logging.wit")),
    ("deps/wasi-random", include_str!("../../../../wit/deps/wasi-random/random.wit")),
];

static HOST: LazyLock<Result<Interfaces, InterfacesError>> = LazyLock::new(|| {
    let [(name, text), deps @ ..] = HOST_WIT;
    Interfaces::from_wit((name, text), &deps, "plugin")
});

/// What a component imports and exports, with all its types.
pub struct Interfaces {
    resolve: Resolve,
    world: WorldId,
}

/// Why a component's interfaces do not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfacesError {
    /// They cannot be said in WIT.
    #[error("the component's interfaces cannot be read: {0}")]
    Unreadable(String),
    /// They have the names of the host's, but are not the same.
    #[error("the component was built against other interfaces than this host's: {}", list(.0))]
    NotTheHosts(Vec<TypeChange>),
}

fn list(changes: &[TypeChange]) -> String {
    const SHOWN: usize = 10;
    let mut texts: Vec<_> = changes.iter().take(SHOWN).map(ToString::to_string).collect();
    if changes.len() > SHOWN {
        texts.push(format!("and {} more", changes.len() - SHOWN));
    }
    texts.join("; ")
}

/// One interface: what has a name in it.
pub(super) struct Interface<'a> {
    /// With its version.
    pub(super) name: String,
    pub(super) functions: BTreeMap<&'a str, &'a Function>,
    pub(super) types: BTreeMap<&'a str, TypeId>,
}

impl Interfaces {
    /// Reads them from the bytes of a component.
    ///
    /// # Errors
    /// When they cannot be said in WIT.
    pub fn read(bytes: &[u8]) -> Result<Self, InterfacesError> {
        match decoding::decode(bytes) {
            Ok(decoding::DecodedWasm::Component(resolve, world)) => Ok(Self { resolve, world }),
            Ok(decoding::DecodedWasm::WitPackage(..)) => {
                Err(InterfacesError::Unreadable("this is a WIT package, which has no code".to_owned()))
            }
            Err(error) => Err(InterfacesError::Unreadable(format!("{error:#}"))),
        }
    }

    /// Reads them and checks them against the host's.
    ///
    /// # Errors
    /// When they cannot be read, or one is not the host's of that name.
    pub fn read_and_check(bytes: &[u8]) -> Result<Self, InterfacesError> {
        let interfaces = Self::read(bytes)?;
        let wrong: Vec<_> = interfaces.against_host()?.into_iter().filter(|change| !change.compatible).collect();
        if wrong.is_empty() { Ok(interfaces) } else { Err(InterfacesError::NotTheHosts(wrong)) }
    }

    /// Every difference between the interfaces of the platform in this
    /// component and the host's own of the same names. What the component
    /// does not use is no difference.
    ///
    /// # Errors
    /// When the host's own cannot be read, which a test excludes.
    pub fn against_host(&self) -> Result<Vec<TypeChange>, InterfacesError> {
        let host = HOST.as_ref().map_err(InterfacesError::clone)?;
        let mut differ = Differ::new(&host.resolve, &self.resolve, Words::Host);
        for side in [Side::Import, Side::Export] {
            let offered = host.faces(Side::Import);
            let called = host.faces(side);
            for (track, face) in self.faces(side) {
                if !face.name.starts_with(PLATFORM) {
                    continue;
                }
                match called.get(&track).or_else(|| offered.get(&track)) {
                    Some(hosts) => differ.face(side, hosts, &face),
                    None => differ.unknown_face(side, &face),
                }
            }
        }
        Ok(differ.finish())
    }

    /// Every difference between the interfaces of two components.
    pub fn against(&self, old: &Self) -> Vec<TypeChange> {
        let mut differ = Differ::new(&old.resolve, &self.resolve, Words::Before);
        for side in [Side::Import, Side::Export] {
            differ.faces(side, &old.faces(side), &self.faces(side));
        }
        differ.finish()
    }

    /// The names of what is imported.
    pub fn imports(&self) -> Vec<String> {
        self.items(Side::Import).map(|(key, _)| self.name(key)).collect()
    }

    /// The names of what is exported.
    pub fn exports(&self) -> Vec<String> {
        self.items(Side::Export).map(|(key, _)| self.name(key)).collect()
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

    fn items(&self, side: Side) -> impl Iterator<Item = (&WorldKey, &WorldItem)> {
        let world = self.resolve.worlds.get(self.world);
        world.into_iter().flat_map(move |world| match side {
            Side::Import => world.imports.iter(),
            Side::Export => world.exports.iter(),
        })
    }

    /// The interfaces of one side, by name without the part of the version
    /// that does not matter. What the world has directly is one more.
    fn faces(&self, side: Side) -> BTreeMap<String, Interface<'_>> {
        let mut faces = BTreeMap::new();
        let mut direct = Interface { name: "the world".to_owned(), functions: BTreeMap::new(), types: BTreeMap::new() };
        for (key, item) in self.items(side) {
            match item {
                WorldItem::Interface { id, .. } => {
                    let name = self.name(key);
                    faces.extend(self.face(&name, *id).map(|face| (track(&name), face)));
                }
                WorldItem::Function(function) => drop(direct.functions.insert(&function.name, function)),
                WorldItem::Type { id, .. } => {
                    let name = self.resolve.types.get(*id).and_then(|ty| ty.name.as_deref());
                    direct.types.extend(name.map(|name| (name, *id)));
                }
            }
        }
        if !(direct.functions.is_empty() && direct.types.is_empty()) {
            faces.insert(String::new(), direct);
        }
        faces
    }

    fn face(&self, name: &str, id: InterfaceId) -> Option<Interface<'_>> {
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

/// An interface's name with its package and version.
pub(super) fn interface_name(resolve: &Resolve, id: InterfaceId) -> String {
    let interface = resolve.interfaces.get(id);
    let package = interface.and_then(|interface| resolve.packages.get(interface.package?));
    match (interface.and_then(|interface| interface.name.as_deref()), package) {
        (Some(name), Some(package)) => package.name.interface_id(name),
        (Some(name), None) => name.to_owned(),
        (None, _) => "an interface without a name".to_owned(),
    }
}

/// What two versions of an interface have in common when one can stand for
/// the other: the name, with the part of the version that must be the same.
fn track(name: &str) -> String {
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
