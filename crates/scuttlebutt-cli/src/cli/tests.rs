//! The command line as it is typed, and what its help shows.

use clap::CommandFactory;

use super::*;
use crate::exit::Code;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// The words of a line as a shell takes them apart, up to a redirection.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word = None::<String>;
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            '>' if !is_quoted => return words,
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

fn long_helps() -> Vec<(String, String)> {
    let mut command = Cli::command();
    command.build();
    let mut helps = vec![("".to_owned(), command.render_long_help().to_string())];
    for sub in command.get_subcommands_mut() {
        helps.push((sub.get_name().to_owned(), sub.render_long_help().to_string()));
    }
    helps
}

#[test]
fn each_example_in_the_help_parses() {
    for (name, help) in long_helps() {
        let examples: Vec<_> = help
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| line.starts_with("scuttlebutt "))
            .collect();
        assert!(name == "help" || !examples.is_empty(), "{name} has no example");
        for example in examples {
            if let Err(error) = Cli::try_parse_from(words(example)) {
                panic!("{example}\n{error}");
            }
        }
    }
}

#[test]
fn each_command_in_the_documents_parses() {
    for (document, at_least) in [
        (include_str!("../../../../README.md"), 6),
        (include_str!("../../../../docs/security.md"), 7),
    ] {
        let commands = document.lines().filter_map(|line| line.strip_prefix("$ "));
        let commands: Vec<_> = commands.filter(|line| line.starts_with("scuttlebutt ")).collect();
        assert!(commands.len() >= at_least, "{commands:?}");
        for command in commands {
            let command = command.split(" #").next().unwrap_or_default().trim_end();
            if let Err(error) = Cli::try_parse_from(words(command)) {
                panic!("{command}\n{error}");
            }
        }
    }
}

#[test]
fn the_help_lists_the_exit_codes() {
    let codes = [
        Code::Failed,
        Code::Usage,
        Code::Unreachable,
        Code::Protocol,
        Code::TimedOut,
        Code::NotAccepted,
    ];
    for code in codes {
        let line = format!("\n  {}  ", code as u8);
        assert!(TOP_HELP.contains(&line), "{code:?}");
    }
}

#[test]
fn a_number_may_be_negative() {
    let parsed = Cli::try_parse_from(words("scuttlebutt set --peer h:1 k -3.5 --timeout 1"));
    assert!(matches!(parsed.map(|cli| cli.command),
        Ok(Command::Set(set)) if set.second.as_deref() == Some("-3.5")));
}
