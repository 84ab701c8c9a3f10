//! Which actions a state allows, and which state each of them leads to.

use super::action::Action;
use super::memo::{Memo, Step};
use super::numbers::Numbers;
use super::rules::Checked;
use super::site::Operation;
use super::state::{LINKS_MAX, LOST, State, Truth};
use super::way::Way;
use super::{Pace, Restart, SmallWorld};

pub(super) struct Moves<'w> {
    world: &'w SmallWorld,
    pub(super) memo: Memo<'w>,
    ways: Numbers<Way>,
}

impl<'w> Moves<'w> {
    pub(super) fn new(world: &'w SmallWorld) -> Self {
        Self { world, memo: Memo::new(world), ways: Numbers::new() }
    }

    /// The state that the world begins in.
    pub(super) fn first(&mut self) -> Result<State, String> {
        let empty = self.ways.number(Way::default());
        let mut state = State {
            sites: self.memo.first_sites(),
            ways: [empty; LINKS_MAX],
            truth: Truth::default(),
            written: 0,
            cuts_left: self.world.cuts,
            may_restart: self.world.restart.is_some(),
        };
        let mut actions = Vec::new();
        while self.world.is_settled {
            self.actions(&state, &mut actions);
            let Some(action) = actions.iter().find(|action| action.happens_by_itself()) else {
                break;
            };
            state = self.act(&state, *action)?;
        }
        Ok(state)
    }

    /// Everything that can happen now.
    pub(super) fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.clear();
        self.writes(state, actions);
        for (node, site) in state.sites.into_iter().enumerate() {
            if site != LOST && self.memo.outlook(site).has_unsynced {
                actions.push(Action::Sync(node));
            }
        }
        for link in 0..self.world.links.len() {
            self.traffic(state, link, actions);
        }
        if let Some(restart) = self.world.restart.filter(|_| state.may_restart) {
            let node = restart.replica();
            if state.sites[node] != LOST {
                actions.push(Action::Restart { node, keeps_unsynced: false });
                let has_unsynced = self.memo.outlook(state.sites[node]).has_unsynced;
                if has_unsynced && restart == Restart::FromStore(node) {
                    actions.push(Action::Restart { node, keeps_unsynced: true });
                }
            }
        }
        if let Some(node) = self.world.loss.filter(|node| state.sites[*node] != LOST) {
            actions.push(Action::Lose(node));
        }
    }

    /// The next write of each replica.
    fn writes(&self, state: &State, actions: &mut Vec<Action>) {
        let mut has_turn = state.sites.map(|site| site != LOST);
        for (nth, write) in self.world.writes.iter().enumerate() {
            if state.written & 1 << nth == 0 && std::mem::take(&mut has_turn[write.by]) {
                actions.push(Action::Write(nth));
            }
        }
    }

    fn traffic(&self, state: &State, link: usize, actions: &mut Vec<Action>) {
        let sites = self.world.links[link].map(|node| state.sites[node]);
        if sites.contains(&LOST) {
            return;
        }
        if !self.memo.outlook(sites[0]).is_up[link] {
            actions.push(Action::Connect(link));
            return;
        }
        let way = self.ways.get(state.ways[link]);
        for (from, queue) in way.iter().enumerate() {
            if queue.len() > 0 {
                actions.push(Action::Deliver { link, from });
            }
            if self.world.pace == Pace::Any && self.may_send(state, link, from) {
                actions.push(Action::Send { link, from });
            }
        }
        if state.cuts_left > 0 {
            actions.push(Action::Cut(link));
        }
    }

    fn may_send(&self, state: &State, link: usize, from: usize) -> bool {
        let site = state.sites[self.world.links[link][from]];
        site != LOST
            && self.memo.outlook(site).has_output[link]
            && self.ways.get(state.ways[link])[from].len() < self.world.room
    }

    /// The state after an action, or what is wrong with it.
    pub(super) fn act(&mut self, before: &State, action: Action) -> Result<State, String> {
        let mut state = *before;
        match action {
            Action::Write(nth) => {
                let step =
                    self.apply(&mut state, self.world.writes[nth].by, Operation::Write(nth))?;
                state.written |= 1 << nth;
                if let Some(update) = step.written {
                    state.truth.add(nth, update);
                }
            }
            Action::Sync(node) => {
                self.apply(&mut state, node, Operation::Sync)?;
            }
            Action::Connect(link) => {
                for node in self.world.links[link] {
                    self.apply(&mut state, node, Operation::Connect(link))?;
                }
            }
            Action::Send { link, from } => self.send(&mut state, link, from)?,
            Action::Deliver { link, from } => self.deliver(&mut state, link, from)?,
            Action::Cut(link) => {
                state.cuts_left -= 1;
                self.hang_up(&mut state, link)?;
            }
            Action::Restart { node, keeps_unsynced } => {
                state.may_restart = false;
                self.hang_up_all(&mut state, node)?;
                self.apply(&mut state, node, Operation::Restart { keeps_unsynced })?;
                self.forget(&mut state, node);
            }
            Action::Lose(node) => {
                self.hang_up_all(&mut state, node)?;
                state.sites[node] = LOST;
            }
        }
        if self.world.pace == Pace::Prompt {
            self.fill(&mut state)?;
        }
        Ok(state)
    }

    /// What must hold in a state whatever came before.
    pub(super) fn check(&mut self, state: &State) -> Checked {
        for site in state.sites.into_iter().filter(|site| *site != LOST) {
            self.memo.check_truth(site, state.truth)?;
        }
        for way in &state.ways[..self.world.links.len()] {
            for queue in self.ways.get(*way) {
                for line in queue.lines() {
                    self.memo.check_line(*line, state.truth)?;
                }
            }
        }
        Ok(())
    }

    /// What must hold where nothing moves by itself any more.
    pub(super) fn check_at_rest(&mut self, state: &State) -> Checked {
        for link in self.world.links {
            let [left, right] = link.map(|node| state.sites[node]);
            if left != LOST && right != LOST {
                self.memo.check_at_rest(left, right)?;
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        state: &mut State,
        node: usize,
        operation: Operation,
    ) -> Result<Step, String> {
        let step = self.memo.step(state.sites[node], operation)?;
        state.sites[node] = step.site;
        Ok(step)
    }

    /// What it forgot it never sent: whoever holds it nevertheless holds what nobody wrote.
    fn forget(&self, state: &mut State, node: usize) {
        if self.world.restart != Some(Restart::FromStore(node)) {
            return;
        }
        for (nth, write) in self.world.writes.iter().enumerate() {
            let update = state.truth.get(nth).filter(|_| write.by == node);
            if update.is_some_and(|update| !self.memo.is_stored(state.sites[node], update)) {
                state.truth.forget(nth);
            }
        }
    }

    fn hang_up(&mut self, state: &mut State, link: usize) -> Checked {
        state.ways[link] = self.ways.number(Way::default());
        for node in self.world.links[link] {
            let site = state.sites[node];
            if site != LOST && self.memo.outlook(site).is_up[link] {
                self.apply(state, node, Operation::HangUp(link))?;
            }
        }
        Ok(())
    }

    fn hang_up_all(&mut self, state: &mut State, node: usize) -> Checked {
        for (link, nodes) in self.world.links.iter().enumerate() {
            if nodes.contains(&node) {
                self.hang_up(state, link)?;
            }
        }
        Ok(())
    }

    /// Asks for lines while there is room for them.
    fn fill(&mut self, state: &mut State) -> Checked {
        for link in 0..self.world.links.len() {
            for from in 0..2 {
                while self.may_send(state, link, from) {
                    self.send(state, link, from)?;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, state: &mut State, link: usize, from: usize) -> Checked {
        let node = self.world.links[link][from];
        let step = self.apply(state, node, Operation::Transmit(link))?;
        let mut way = *self.ways.get(state.ways[link]);
        for line in step.lines.lines() {
            way[from].push(*line)?;
        }
        state.ways[link] = self.ways.number(way);
        Ok(())
    }

    fn deliver(&mut self, state: &mut State, link: usize, from: usize) -> Checked {
        let mut way = *self.ways.get(state.ways[link]);
        let Some(line) = way[from].pop() else { return Ok(()) };
        state.ways[link] = self.ways.number(way);
        let node = self.world.links[link][1 - from];
        self.apply(state, node, Operation::Receive { link, line })?;
        Ok(())
    }
}
