//! `scuttlebutt trust`: who is believed, and until when.

use std::io::Write;

use scuttlebutt_security::{Term, TrustList};

use crate::cli::{Revoke, TrustCommand, Trusted};
use crate::exit::Failure;
use crate::printer::print_at_once;
use crate::trust_file;

pub(crate) async fn run(args: Trusted) -> Result<(), Failure> {
    match args.command {
        TrustCommand::Revoke(args) => revoke(args).await,
    }
}

async fn revoke(args: Revoke) -> Result<(), Failure> {
    let list = args.list.display();
    let id = trust_file::id(&args.id)?;
    let text = trust_file::read(&args.list)?;
    let term = match (args.altogether, args.until) {
        (true, _) => None,
        (false, Some(until)) => Some(Term::Until(until)),
        (false, None) => match trust_file::newest(&args.data, &id).await? {
            Some(newest) => Some(Term::Until(newest)),
            None => {
                return Err(Failure::failed(format!(
                    "{} holds nothing that {id} wrote: say until when it counts with --until TIMESTAMP, or that \
                     nothing does with --altogether",
                    args.data.display()
                )));
            }
        },
    };
    let revised = TrustList::revise(&text, &id, term)
        .map_err(|error| Failure::failed(format!("{list}: {error}")))?
        .ok_or_else(|| {
            Failure::failed(format!(
                "{list}: {id} is not on it, so nothing that it wrote counts where this list does"
            ))
        })?;
    trust_file::replace(&args.list, &revised)?;
    print_at_once(|out| {
        match term {
            Some(Term::Until(until)) => {
                writeln!(out, "{list}: what {id} wrote until {until} counts, and nothing later")?
            }
            _ => writeln!(out, "{list}: nothing that {id} wrote counts")?,
        }
        writeln!(out, "give the list to every node and send each SIGHUP: kill -HUP PID")
    })
}
