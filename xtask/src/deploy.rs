//! Writes and checks the files of `deploy/`.
//!
//! Helm's code renders the chart with its default values, and the result is the
//! plain manifests. All rendered files are checked against the schemas of
//! Kubernetes, of the oldest version that the chart supports and of the newest.
//! The tools come from PyPI in pinned versions and are in `target/tools`. The
//! host's own tests check that the files use settings and names that the host
//! knows. The same tool checks the workflows and the forms in `.github/` against
//! their schemas.

mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use plugin_pack::write_if_changed;

use crate::process::{print_status, run};
use crate::steps::Outcome;
use crate::workspace::Workspace;
use tools::Tools;

/// The oldest Kubernetes version that the chart supports, and the newest one with
/// published schemas.
const KUBERNETES_VERSIONS: [&str; 2] = ["1.30.0", "1.37.0"];
/// The files in `.github/`, and the schema of each.
const GITHUB_FILES: [(&str, &[&str]); 3] = [
    ("vendor.github-workflows", &["workflows/ci.yml", "workflows/release.yml"]),
    ("vendor.github-issue-forms", &["ISSUE_TEMPLATE/bug.yml", "ISSUE_TEMPLATE/feature.yml"]),
    ("vendor.github-issue-config", &["ISSUE_TEMPLATE/config.yml"]),
];
/// The name of the chart's default values. The plain manifests use them.
const PLAIN: &str = "plain";
/// Sets of values for the chart. The chart must refuse a set whose name begins
/// with `wrong`.
const VALUES: [(&str, &str); 10] = [
    (PLAIN, "{}"),
    ("managed", r#"{"postgres": {"enabled": false}, "nats": {"enabled": false}}"#),
    (
        "small",
        r#"{"autoscaling": {"enabled": false}, "replicas": 1, "nats": {"replicas": 1}, "networkPolicy": {"enabled": false}}"#,
    ),
    (
        "watched",
        r#"{"telemetry": {"otlpEndpoint": "http://collector.monitoring:4318"}, "ingress": {"tlsSecret": "tls", "annotations": {"a": "b"}}}"#,
    ),
    (
        "stored",
        r#"{"postgres": {"storageClass": "fast"}, "nats": {"storageClass": "fast"}, "image": {"pullSecrets": ["registry"]}, "ingress": {"enabled": false}}"#,
    ),
    ("cards", r#"{"payments": {"provider": "stripe"}}"#),
    ("wrong-name", r#"{"postgress": {"enabled": false}}"#),
    ("wrong-type", r#"{"replicas": "two"}"#),
    ("wrong-value", r#"{"nats": {"replicas": 2}}"#),
    ("wrong-provider", r#"{"payments": {"provider": "another"}}"#),
];

/// Makes all checks of `deploy/` that need no cluster, and checks the files in
/// `.github/`.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    let tools = Tools::provide(workspace)?;
    let folder = workspace.root.join("deploy");
    run(tools.command("hadolint").arg(folder.join("Dockerfile")))?;
    run(tools.command("shellcheck").arg(folder.join("skaffold/swap.sh")).arg(workspace.root.join(".ci/run")))?;
    for (schema, files) in GITHUB_FILES {
        let files = files.iter().map(|file| workspace.root.join(".github").join(file));
        run(tools.command("check-jsonschema").args(["--builtin-schema", schema]).args(files))?;
    }
    run(tools
        .command("check-jsonschema")
        .args(["--builtin-schema", "vendor.compose-spec"])
        .arg(folder.join("compose.yaml")))?;
    let rendered = render(workspace, &tools)?;
    compare(&manifests(&rendered.join(PLAIN))?, &folder.join("kubernetes"))?;
    for version in KUBERNETES_VERSIONS {
        for (name, _) in VALUES.iter().filter(|(name, _)| !name.starts_with("wrong")) {
            let files = files_in(&rendered.join(name))?;
            run(tools
                .command("kubernetes-validate")
                .args(["--strict", "--quiet", "--kubernetes-version", version])
                .args(files))
            .with_context(|| format!("the chart with the values `{name}`, on Kubernetes {version}"))?;
        }
    }
    for config in nats_configs(&rendered, &folder)? {
        run(tools.command("nats-server").env("POD_NAME", "nats-0").arg("-t").arg("--config").arg(config))?;
    }
    Ok(Outcome::Passed)
}

/// Writes the plain manifests.
pub(crate) fn write_manifests(workspace: &Workspace) -> Result<()> {
    let tools = Tools::provide(workspace)?;
    let rendered = render(workspace, &tools)?;
    let folder = workspace.root.join("deploy/kubernetes");
    let wanted = manifests(&rendered.join(PLAIN))?;
    for (name, text) in &wanted {
        write_if_changed(&folder.join(name), text.as_bytes())?;
    }
    for file in files_in(&folder)? {
        if !wanted.contains_key(&name_of(&file)) {
            fs::remove_file(&file)?;
        }
    }
    print_status(&format!("Wrote {}", workspace.display(&folder)));
    Ok(())
}

/// Renders the chart with each set of values, and returns the folder of the
/// results.
fn render(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let folder = workspace.temporary_folder("deploy");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let script = folder.join("render.py");
    fs::write(&script, include_str!("deploy/render.py"))?;
    let mut python = tools.command("python");
    python.arg(script).arg(workspace.root.join("deploy/helm/ticketing")).arg(&folder);
    run(python.args(VALUES.iter().map(|(name, values)| format!("{name}={values}"))))?;
    Ok(folder)
}

/// The texts of the plain manifests by file name.
fn manifests(rendered: &Path) -> Result<BTreeMap<String, String>> {
    files_in(rendered)?
        .into_iter()
        .map(|file| {
            let name = name_of(&file);
            let text = fs::read_to_string(&file)?;
            let text =
                format!("# Written by `cargo xtask manifests` from deploy/helm/ticketing/templates/{name}.\n{text}");
            Ok((name, text))
        })
        .collect()
}

fn compare(wanted: &BTreeMap<String, String>, folder: &Path) -> Result<()> {
    let present: Vec<String> = files_in(folder)?.iter().map(|file| name_of(file)).collect();
    let same =
        |(name, text): (&String, &String)| fs::read_to_string(folder.join(name)).is_ok_and(|present| present == *text);
    if !wanted.keys().eq(&present) || !wanted.iter().all(same) {
        bail!("deploy/kubernetes differs from the rendered chart: run `cargo xtask manifests`");
    }
    Ok(())
}

/// The configuration files of NATS: the one for Compose, and those of the chart.
fn nats_configs(rendered: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut configs = vec![folder.join("compose/nats.conf")];
    for name in [PLAIN, "small"] {
        let text = fs::read_to_string(rendered.join(name).join("nats.yaml"))?;
        let config = rendered.join(format!("{name}.conf"));
        fs::write(&config, block(&text, "nats.conf").context("the chart has no nats.conf")?)?;
        configs.push(config);
    }
    Ok(configs)
}

/// The text of the block scalar `KEY: |` in a YAML file.
fn block(yaml: &str, key: &str) -> Option<String> {
    let mut lines = yaml.lines().skip_while(|line| line.trim() != format!("{key}: |"));
    let indent = lines.next()?.len() - key.len() - 3;
    let inside = lines.take_while(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > indent);
    Some(inside.map(|line| format!("{}\n", line.trim_start())).collect())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_where_its_indentation_does() {
        let yaml = "data:\n  a.conf: |\n    one {\n      two\n    }\n  b.conf: |\n    three\n---\nkind: x\n";
        assert_eq!(block(yaml, "a.conf").unwrap(), "one {\ntwo\n}\n");
        assert_eq!(block(yaml, "b.conf").unwrap(), "three\n");
        assert_eq!(block(yaml, "c.conf"), None);
    }

    #[test]
    fn a_missing_or_different_manifest_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = BTreeMap::from([("a.yaml".to_owned(), "a: 1\n".to_owned())]);
        assert!(compare(&wanted, folder.path()).is_err());
        fs::write(folder.path().join("a.yaml"), "a: 1\n").unwrap();
        assert!(compare(&wanted, folder.path()).is_ok());
        fs::write(folder.path().join("b.yaml"), "b: 1\n").unwrap();
        assert!(compare(&wanted, folder.path()).is_err());
    }
}
