//! The command line. It passes the flags of a host unchanged to
//! [`Config`](host_config::Config). [`plugin`] and [`apply`] are clients of a running
//! host.

pub mod apply;
pub mod health;
pub mod offline;
pub mod output;
pub mod plugin;

use clap::{Args, Parser, Subcommand, ValueEnum};
use host_config::Flags;

const EXAMPLES: &str = "\
Examples:
  ticketing serve
  ticketing serve --listen 0.0.0.0:8080 --data-dir /var/lib/ticketing
  ticketing serve --plugin ./hello.wasm --set hello.greeting=Hi
  TICKETING_LOG=debug TICKETING_LOG_FORMAT=json ticketing serve
  ticketing check --config ticketing.toml
  ticketing health --admin-listen 127.0.0.1:8081
  ticketing plugin push ./hello.wasm --activate
  ticketing apply -f plugins.toml";

/// A host for WebAssembly components that swaps one at a time while it serves.
#[derive(Debug, Parser)]
#[command(name = "ticketing", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves until a signal stops it (SIGTERM, SIGINT).
    #[command(after_help = EXAMPLES)]
    Serve(Flags),
    /// Validates the settings and the plugins, without serving.
    #[command(after_help = EXAMPLES)]
    Check(Flags),
    /// Checks that the host with these settings runs on this machine; the exit code is 0 if it does.
    #[command(after_help = EXAMPLES)]
    Health(Flags),
    /// Creates plugins, and changes the plugins of a running host.
    Plugin(Box<plugin::Plugin>),
    /// Makes the plugins of a running host as a file says.
    ///
    /// The command shows the difference and asks before it changes anything. Plugins that the file does not name stay as
    /// they are. So does each part that an entry does not have, such as its policy. Without a terminal, the command changes
    /// nothing unless you give --yes or --watch.
    Apply(Box<plugin::OfHost<apply::Apply>>),
    /// Lists the events of a running host: who publishes and who receives them.
    Events(plugin::OfHost<plugin::Events>),
    /// Lists the hosts that share the database of a running host.
    Cluster(plugin::OfHost<plugin::Cluster>),
    /// Counts the timers of the plugins of a running host.
    Timers(plugin::OfHost<plugin::Timers>),
    /// Lists, shows, redelivers and discards the dead letters of a running host.
    DeadLetters(plugin::OfHost<plugin::DeadLetters>),
    /// Compiles one component for a host. The host starts this process itself.
    #[command(hide = true)]
    CompileComponent(CompileComponent),
}

/// One compilation: a component on the standard input, compiled code on the
/// standard output.
#[derive(Debug, Args)]
pub struct CompileComponent {
    /// The interfaces of the component.
    #[arg(long)]
    pub kind: Kind,
    /// The limit on memory.
    #[arg(long)]
    pub memory_mib: u64,
    /// The limit on processor time.
    #[arg(long)]
    pub cpu_seconds: u64,
}

/// The interfaces of a component, which decide the settings of its compiler.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// The platform's.
    Platform,
    /// The standard's.
    WasiHttp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_shows_examples() {
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("ticketing serve --listen"));
    }

    #[test]
    fn every_command_of_a_running_host_has_an_example() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(help.contains("Example"), "{name} has no example");
            command.get_subcommands().filter(|command| command.get_name() != "help").for_each(check);
        }
        let cli = Cli::command();
        let plugin = cli.find_subcommand("plugin").unwrap();
        assert!(plugin.get_subcommands().count() > 20);
        check(plugin);
        for of_host in ["apply", "events", "timers", "dead-letters"] {
            check(cli.find_subcommand(of_host).unwrap());
        }
    }

    #[test]
    fn flags_are_taken_as_typed() {
        let cli = Cli::parse_from(["ticketing", "serve", "--listen", "x", "--set", "a.b=c"]);
        let Command::Serve(flags) = cli.command else { panic!("serve expected") };
        assert_eq!(flags.listen.as_deref(), Some("x"));
        assert_eq!(flags.set, ["a.b=c"]);
    }
}
