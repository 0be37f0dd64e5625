//! The settings, ports, paths and commands in the files of `deploy/` exist in the
//! program.

use super::files::{path, read, yaml};
use crate::support::{PATIENCE, PluginFile, Setup, component};
use clap::Parser;
use host_cli::Cli;
use host_config::{Config, Flags, telemetry};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Output,
    time::Duration,
};
use tokio::{process::Command, time::timeout};

type Variables = BTreeMap<String, String>;

const COMPONENTS: [&str; 6] = ["auth", "expiration", "orders", "payments", "storefront", "tickets"];

/// The variables of the container in Kubernetes, with stand-ins for secrets.
fn of_kubernetes() -> Variables {
    let env = host_container()["env"].as_array().unwrap().clone();
    let value = |one: &Value| match one["value"].as_str() {
        Some(value) => value.to_owned(),
        None => "a-secret-of-at-least-32-characters".to_owned(),
    };
    env.iter().map(|one| (one["name"].as_str().unwrap().to_owned(), value(one))).collect()
}

fn of_compose() -> Variables {
    let compose = yaml("compose.yaml");
    let host = &compose["services"]["host-1"];
    assert_eq!(host["environment"], compose["services"]["host-2"]["environment"]);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let environment = host["environment"].as_object().unwrap();
    environment.iter().map(|(name, value)| (name.clone(), without_variables(&text(value)))).collect()
}

/// Replaces `${NAME:-default}` by the default.
fn without_variables(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (inside, after) = rest.split_once('}').unwrap();
    let default = inside
        .split_once(":-")
        .unwrap_or_else(|| panic!("{inside} has no default, and `docker compose up` must work without settings"))
        .1;
    format!("{before}{default}{}", without_variables(after))
}

/// The variables of the last stage of the Dockerfile, which becomes the image.
fn of_the_image() -> Variables {
    let dockerfile = read("Dockerfile");
    let stage = dockerfile.rsplit_once("\nFROM ").unwrap().1.replace("\\\n", " ");
    let lines = stage.lines().filter_map(|line| line.strip_prefix("ENV "));
    lines.flat_map(str::split_whitespace).map(|pair| pair.split_once('=').unwrap()).map(owned).collect()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn documents(file: &str) -> Vec<Value> {
    let text = read(file);
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn deployment() -> Value {
    documents("kubernetes/deployment.yaml").remove(0)["spec"]["template"]["spec"].clone()
}

fn host_container() -> Value {
    deployment()["containers"][0].clone()
}

/// Runs `ticketing check` with these variables and this settings file.
async fn check(variables: Variables, settings: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ticketing.toml");
    let cache = Setup::new().cache().display().to_string();
    fs::write(&file, format!("{settings}\n[engine]\ncache_dir = {cache:?}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
    command.arg("check").env_clear().envs(variables).env("TICKETING_CONFIG", file);
    command.env("TICKETING_DATA_DIR", folder.path().join("data")).env_remove("TICKETING_LOG_FORMAT");
    timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_program_accepts_the_variables_and_settings_of_the_files() {
    let mut image = of_the_image();
    assert!(image.len() >= 3, "{image:?}");
    let chart = documents("kubernetes/config.yaml").remove(0)["data"]["ticketing.toml"].as_str().unwrap().to_owned();
    let both = [(of_kubernetes(), chart), (of_compose(), read("compose/ticketing.toml"))];
    for (variables, settings) in both {
        let mut all = image.clone();
        all.extend(variables);
        let output = check(all, &settings).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    image.insert("TICKETING_MISSPELT".to_owned(), "1".to_owned());
    assert_eq!(check(image, "").await.status.code(), Some(78), "the check finds a bad value");
}

#[test]
fn every_variable_without_the_prefix_is_read_or_part_of_another() {
    let template = read("helm/ticketing/templates/_env.tpl");
    let named = template.lines().filter_map(|line| line.trim().strip_prefix("- name: ")).map(str::to_owned);
    let (kubernetes, compose) = (of_kubernetes(), of_compose());
    let all: BTreeSet<String> = named.chain(kubernetes.keys().cloned()).chain(compose.keys().cloned()).collect();
    for name in all.iter().filter(|name| !name.starts_with("TICKETING_")) {
        let is_part = kubernetes.values().any(|value| value.contains(&format!("$({name})")));
        let is_read =
            ["JWT_KEY", "STRIPE_KEY"].contains(&name.as_str()) || telemetry::VARIABLES.contains(&name.as_str());
        assert!(is_part || is_read, "{name}");
    }
    assert!(telemetry::VARIABLES.iter().any(|name| all.contains(*name)));
}

#[test]
fn the_instructions_make_every_secret() {
    let readme = read("README.md");
    let made: BTreeSet<(String, String)> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("$ kubectl create secret generic "))
        .map(|rest| rest.split_once(" --from-literal=").unwrap())
        .map(|(name, literal)| owned((name, literal.split_once('=').unwrap().0)))
        .collect();
    let env = host_container()["env"].as_array().unwrap().clone();
    let wanted = env.iter().map(|one| &one["valueFrom"]["secretKeyRef"]).filter(|reference| reference.is_object());
    let wanted: BTreeSet<(String, String)> = wanted
        .map(|reference| owned((reference["name"].as_str().unwrap(), reference["key"].as_str().unwrap())))
        .collect();
    assert!(wanted.len() >= 4);
    assert!(wanted.is_subset(&made), "{wanted:?} {made:?}");
}

#[test]
fn ports_and_paths_are_those_that_the_image_listens_on() {
    let image = of_the_image();
    let port = |variable: &str| image[variable].rsplit_once(':').unwrap().1.parse::<u64>().unwrap();
    let ports = [("http", port("TICKETING_LISTEN")), ("operator", port("TICKETING_ADMIN_LISTEN"))];
    let dockerfile = read("Dockerfile");
    let exposed = format!("EXPOSE {} {}", ports[0].1, ports[1].1);
    assert_eq!(dockerfile.matches(&exposed).count(), 2, "both stages of the Dockerfile have {exposed}");
    let container = host_container();
    for (name, number) in ports {
        let declared = container["ports"].as_array().unwrap().iter().find(|port| port["name"] == name).unwrap();
        assert_eq!(declared["containerPort"], number);
    }
    let annotations = documents("kubernetes/deployment.yaml").remove(0)["spec"]["template"]["metadata"].clone();
    assert_eq!(annotations["annotations"]["prometheus.io/port"], ports[1].1.to_string());
    for (probe, path) in [("startupProbe", "/healthz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        let get = &container[probe]["httpGet"];
        assert_eq!((get["path"].as_str(), get["port"].as_str()), (Some(path), Some("operator")));
    }
    let balancer = read("compose/haproxy.cfg");
    for host in ["host-1", "host-2"] {
        for (_, number) in ports {
            assert!(balancer.contains(&format!("server {host} {host}:{number}")), "{host} {number}");
        }
    }
    assert!(balancer.contains(&format!("check inter 1s fall 2 rise 1 port {}", ports[1].1)));
    assert_eq!(balancer.matches("http-check send meth GET uri /readyz").count(), 2);
}

#[test]
fn a_deployment_gives_hosts_enough_time_to_shut_down() {
    let drain = Config::load(&Flags::default(), []).unwrap().http.shutdown_drain;
    // Two seconds after its drain time a process ends, whatever still runs.
    let needed = drain + Duration::from_secs(2);
    let pod = deployment();
    let pause = Duration::from_secs(host_container()["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap());
    let grace = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
    assert!(grace > needed + pause, "{grace:?} {needed:?} {pause:?}");
    let compose = yaml("compose.yaml");
    let grace = compose["services"]["host-1"]["stop_grace_period"].as_str().unwrap().strip_suffix('s').unwrap();
    assert!(Duration::from_secs(grace.parse().unwrap()) > needed);
}

#[test]
fn every_route_of_the_marketplace_is_reached_through_the_ingress() {
    let ingress = documents("kubernetes/ingress.yaml").remove(0);
    let paths = ingress["spec"]["rules"][0]["http"]["paths"].as_array().unwrap().clone();
    let paths: Vec<&str> = paths.iter().map(|path| path["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/api/users", "/api/tickets", "/api/orders", "/api/payments", "/"]);
    for name in COMPONENTS {
        let manifest: toml::Value = toml::from_str(&PluginFile::read(&component(name)).manifest).unwrap();
        for route in manifest.get("routes").and_then(toml::Value::as_array).into_iter().flatten() {
            let route = route["path"].as_str().unwrap();
            let named = paths.iter().any(|path| *path != "/" && route.starts_with(path));
            assert_eq!(named, route.starts_with("/api/"), "{route}");
        }
    }
}

#[test]
fn the_commands_in_the_instructions_exist() {
    let mut commands = 0;
    for file in ["README.md", "runbook.md", "helm/ticketing/templates/NOTES.txt"] {
        let text = read(file);
        for (place, _) in text.match_indices("ticketing plugin ") {
            let command = text[place..].lines().next().unwrap().split(['`', ')']).next().unwrap();
            let command = command.replace("NAME", "orders").replace("FILE", "orders.wasm");
            let parsed = Cli::try_parse_from(command.split_whitespace());
            assert!(parsed.is_ok(), "{file}: {command}: {:?}", parsed.err());
            commands += 1;
        }
    }
    assert!(commands > 8, "{commands}");
}

#[test]
fn every_path_in_the_skaffold_files_exists() {
    let skaffold = yaml("skaffold.yaml");
    let artifact = &skaffold["build"]["artifacts"][0];
    let root = path(artifact["context"].as_str().unwrap());
    let dockerfile = root.join(artifact["docker"]["dockerfile"].as_str().unwrap());
    let target = artifact["docker"]["target"].as_str().unwrap();
    assert!(fs::read_to_string(dockerfile).unwrap().contains(&format!(" AS {target}\n")));
    let hook = &artifact["sync"]["hooks"]["before"][0]["host"];
    let script = root.join(hook["command"][1].as_str().unwrap());
    assert!(script.is_file(), "{}", script.display());
    let release = &skaffold["deploy"]["helm"]["releases"][0];
    assert!(path(release["chartPath"].as_str().unwrap()).join("Chart.yaml").is_file());
    let services = documents("kubernetes/service.yaml");
    for forward in skaffold["portForward"].as_array().unwrap() {
        let service = services.iter().find(|service| service["metadata"]["name"] == forward["resourceName"]).unwrap();
        assert_eq!(service["spec"]["ports"][0]["port"], forward["port"]);
    }
}
