//! A queue in which calls take turns.

use std::collections::{HashMap, VecDeque};

/// Tasks of one priority: calls take turns, each call's own tasks keep their order.
pub(super) struct Lane<T> {
    turns: VecDeque<u64>,
    tasks: HashMap<u64, VecDeque<T>>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            turns: VecDeque::new(),
            tasks: HashMap::new(),
        }
    }
}

impl<T> Lane<T> {
    pub(super) fn push(&mut self, call: u64, task: T) {
        let queue = self.tasks.entry(call).or_default();
        if queue.is_empty() {
            self.turns.push_back(call);
        }
        queue.push_back(task);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let call = self.turns.pop_front()?;
        let queue = self.tasks.get_mut(&call)?;
        let task = queue.pop_front();
        if queue.is_empty() {
            self.tasks.remove(&call);
        } else {
            self.turns.push_back(call);
        }
        task
    }

    pub(super) fn drain(&mut self) -> Vec<T> {
        self.turns.clear();
        self.tasks.drain().flat_map(|(_, queue)| queue).collect()
    }
}
