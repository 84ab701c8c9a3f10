//! What is on the way between two sites: whole lines, by their numbers, in the order they were sent.

/// Lines on the way in one direction, at most. A session asked for one line may give several that
/// belong together.
const LINES_MAX: usize = 4;

/// Lines in the order they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    len: u8,
    lines: [u32; LINES_MAX],
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    pub(super) fn lines(&self) -> &[u32] {
        &self.lines[..self.len()]
    }

    pub(super) fn push(&mut self, line: u32) -> Result<(), String> {
        let len = self.len();
        let free = self.lines.get_mut(len);
        *free.ok_or_else(|| format!("more than {LINES_MAX} lines were sent at once"))? = line;
        self.len += 1;
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<u32> {
        let first = *self.lines().first()?;
        self.lines.copy_within(1.., 0);
        // Queues that hold the same are the same.
        self.lines[LINES_MAX - 1] = 0;
        self.len -= 1;
        self.lines[self.len()] = 0;
        Some(first)
    }
}

/// Both directions of a link, by the end that sends.
pub(super) type Way = [Queue; 2];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_the_order_and_forgets_what_has_left() {
        let mut queue = Queue::default();
        for line in [7, 8, 9] {
            queue.push(line).unwrap();
        }
        assert_eq!((queue.pop(), queue.pop(), queue.lines()), (Some(7), Some(8), &[9][..]));
        assert_eq!((queue.pop(), queue.pop()), (Some(9), None));
        assert_eq!(queue, Queue::default());
    }

    #[test]
    fn a_queue_is_bounded() {
        let mut queue = Queue::default();
        assert!((0..LINES_MAX as u32).all(|line| queue.push(line).is_ok()));
        assert!(queue.push(9).is_err());
    }
}
