//! h: what two replicas that know many sources say to each other before anything else.

use anyhow::Result;

use super::{TIME, b_reconnection, grouped};
use crate::driver::{Context, NPM, OURS};
use crate::results::{Case, Setting};

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('h', "handshake", (super::WIRE, "sources"));
    case.method(
        "Both replicas hold one key of each source, and connect: knowing the same, or one of them one \
         update more. As in b, the time runs in the client from before it dials until it is in sync.",
    );
    for sources in context.sizes.handshake_sources {
        let settings: Vec<_> = [(0, "equal"), (1, "nearly equal")]
            .map(|(new, how)| {
                let plural = if *sources == 1 { "" } else { "s" };
                let text = format!("{} source{plural}, {how}", grouped(*sources));
                (new, Setting::along(text, *sources, how))
            })
            .into();
        b_reconnection::reconnect(context, &mut case, &settings, *sources, *sources)?;
        let setting = &settings[0].1;
        if let Some(ratio) = case.ratio(setting, TIME, NPM, OURS) {
            println!("  {}: {ratio:.1} times faster than {NPM}", setting.name);
        }
    }
    Ok(case)
}
