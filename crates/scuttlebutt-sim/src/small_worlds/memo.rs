//! What the production code did and what the rules said, remembered: each is asked once.
//!
//! What an operation does depends on the site alone. There are far fewer distinct pairs of a site
//! and an operation than steps between states, and only the first step with each costs more than a
//! look into a table.

use scuttlebutt::Update;

use super::SmallWorld;
use super::likeness::with_links_named;
use super::numbers::{Fingerprint, Numbers, QuickMap, QuickSet};
use super::rules::{self, Checked};
use super::site::{Operation, Site};
use super::state::{LINKS_MAX, NODES, Truth};
use super::way::Queue;

pub(super) struct Memo<'w> {
    world: &'w SmallWorld,
    fingerprints: Numbers<u128>,
    /// By their numbers, as are the outlooks.
    sites: Vec<Site>,
    outlooks: Vec<Outlook>,
    lines: Numbers<Vec<u8>>,
    /// By the number of the line, what it says.
    texts: Vec<LineText>,
    updates: Vec<Update>,
    steps: QuickMap<(u32, Operation), Step>,
    true_sites: QuickSet<(u32, Truth)>,
    true_lines: QuickSet<(u32, Truth)>,
    agreeing: QuickSet<[u32; 2]>,
}

/// What a line says, as far as the rules ask.
pub(super) struct LineText {
    pub(super) update: Option<Update>,
}

/// What came of an operation.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) site: u32,
    pub(super) lines: Queue,
    /// The number of the update that was written.
    pub(super) written: Option<u8>,
}

/// What a site could do next.
#[derive(Clone, Copy, Default)]
pub(super) struct Outlook {
    pub(super) has_unsynced: bool,
    pub(super) is_up: [bool; LINKS_MAX],
    pub(super) has_output: [bool; LINKS_MAX],
}

impl<'w> Memo<'w> {
    pub(super) fn new(world: &'w SmallWorld) -> Self {
        Self {
            world,
            fingerprints: Numbers::new(),
            sites: Vec::new(),
            outlooks: Vec::new(),
            lines: Numbers::new(),
            texts: Vec::new(),
            updates: Vec::new(),
            steps: QuickMap::default(),
            true_sites: QuickSet::default(),
            true_lines: QuickSet::default(),
            agreeing: QuickSet::default(),
        }
    }

    /// The numbers of the sites that a world begins with.
    pub(super) fn first_sites(&mut self) -> [u32; NODES] {
        std::array::from_fn(|node| self.number_of_site(Site::new(self.world, node)))
    }

    pub(super) fn outlook(&self, site: u32) -> &Outlook {
        &self.outlooks[site as usize]
    }

    pub(super) fn is_stored(&self, site: u32, update: u8) -> bool {
        self.sites[site as usize].is_stored(&self.updates[usize::from(update)])
    }

    /// How often the production code was run.
    pub(super) fn operations(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn step(&mut self, site: u32, operation: Operation) -> Result<Step, String> {
        if let Some(step) = self.steps.get(&(site, operation)) {
            return Ok(*step);
        }
        let line = match operation {
            Operation::Receive { line, .. } => self.lines.get(line).as_slice(),
            _ => &[],
        };
        let mut after = self.sites[site as usize].clone();
        let effect = after.apply(self.world, operation, line)?;
        let mut lines = Queue::default();
        for line in effect.lines {
            lines.push(self.number_of_line(line))?;
        }
        let written = effect.written.map(|update| self.number_of_update(update));
        let step = Step { site: self.number_of_site(after), lines, written };
        self.steps.insert((site, operation), step);
        Ok(step)
    }

    /// That a site is true to what was written, and announces nothing that it lacks.
    pub(super) fn check_truth(&mut self, site: u32, truth: Truth) -> Checked {
        if self.true_sites.insert((site, truth)) {
            rules::check_truth(self.sites[site as usize].replica(), &self.all(truth))?;
        }
        Ok(())
    }

    /// That a line on the way says nothing that was not written.
    pub(super) fn check_line(&mut self, line: u32, truth: Truth) -> Checked {
        if self.true_lines.insert((line, truth)) {
            rules::check_line(&self.texts[line as usize], &self.all(truth))?;
        }
        Ok(())
    }

    /// That two sites that are linked and have nothing to say any more are alike.
    pub(super) fn check_at_rest(&mut self, left: u32, right: u32) -> Checked {
        if self.agreeing.insert([left, right]) {
            let [left, right] = [left, right].map(|site| self.sites[site as usize].replica());
            rules::check_at_rest(left, right)?;
        }
        Ok(())
    }

    fn all(&self, truth: Truth) -> Vec<&Update> {
        truth.iter().map(|number| &self.updates[usize::from(number)]).collect()
    }

    fn number_of_site(&mut self, site: Site) -> u32 {
        let text = with_links_named(&site.to_string());
        let number = self.fingerprints.number(Fingerprint::of(&text));
        if number as usize == self.sites.len() {
            self.outlooks.push(site.outlook());
            self.sites.push(site);
        }
        number
    }

    fn number_of_line(&mut self, line: Vec<u8>) -> u32 {
        let text = String::from_utf8_lossy(&line).into_owned();
        let number = self.lines.number(line);
        if number as usize == self.texts.len() {
            self.texts.push(LineText { update: Update::from_json(text.trim_end()).ok() });
        }
        number
    }

    fn number_of_update(&mut self, update: Update) -> u8 {
        let known = self.updates.iter().position(|other| rules::is_same(other, &update));
        let number = known.unwrap_or_else(|| {
            self.updates.push(update);
            self.updates.len() - 1
        });
        u8::try_from(number).expect("few writes make few updates")
    }
}
