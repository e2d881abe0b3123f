//! A task set: which tasks may begin, by their attributes (SAM-5, section 8.6). One for all nexuses of a logical unit (TST
//! of the Control mode page is 000b).
//!
//! Simple tasks alone cost two comparisons: nothing is queued unless something must wait.

use super::seam::TaskAttribute;
use std::collections::VecDeque;
use stdx::slab::Key;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct TaskSet {
    /// Tasks that have begun and not ended.
    enabled: u32,
    /// Of those, the ordered ones: nothing younger begins.
    enabled_ordered: u32,
    /// Of those, the ones with the head of queue attribute: nothing else begins.
    enabled_heads: u32,
    /// Of those, the ones that belong to an auto contingent allegiance.
    enabled_aca: u32,
    /// Tasks that wait, oldest first.
    dormant: VecDeque<(Key, TaskAttribute)>,
}

impl TaskSet {
    /// A task is about to enter: true if it may begin at once. It is then counted; otherwise it is to be queued.
    pub(super) fn enter(&mut self, attribute: TaskAttribute) -> bool {
        let begins = match attribute {
            TaskAttribute::HeadOfQueue | TaskAttribute::Aca => true,
            _ => self.dormant.is_empty() && self.may_begin(attribute),
        };
        if begins {
            self.count(attribute);
        }
        begins
    }

    /// True if a simple task would begin at once.
    pub(super) fn admits_simple(&self) -> bool {
        self.dormant.is_empty() && self.may_begin(TaskAttribute::Simple)
    }

    /// The task that [`TaskSet::enter`] let not begin.
    pub(super) fn queue(&mut self, task: Key, attribute: TaskAttribute) {
        self.dormant.push_back((task, attribute));
    }

    /// The oldest task that waits and may begin now. It is then counted.
    pub(super) fn next(&mut self) -> Option<Key> {
        let &(task, attribute) = self.dormant.front()?;
        if !self.may_begin(attribute) {
            return None;
        }
        self.dormant.pop_front();
        self.count(attribute);
        Some(task)
    }

    /// A task that had begun has ended. True if another may begin because of that.
    pub(super) fn leave(&mut self, attribute: TaskAttribute) -> bool {
        self.enabled -= 1;
        match attribute {
            TaskAttribute::Ordered => self.enabled_ordered -= 1,
            TaskAttribute::HeadOfQueue => self.enabled_heads -= 1,
            TaskAttribute::Aca => self.enabled_aca -= 1,
            TaskAttribute::Simple => {}
        }
        !self.dormant.is_empty()
    }

    /// A task that waited is given up. True if another may begin because of that.
    pub(super) fn withdraw(&mut self, task: Key) -> bool {
        self.dormant.retain(|(waiting, _)| *waiting != task);
        !self.dormant.is_empty()
    }

    /// Tasks in the set.
    pub(super) fn len(&self) -> u32 {
        self.enabled + self.dormant.len() as u32
    }

    /// Tasks that have begun and not ended.
    pub(super) const fn enabled(&self) -> u32 {
        self.enabled
    }

    /// True if no task with the ACA attribute is in it.
    pub(super) const fn has_no_aca(&self) -> bool {
        self.enabled_aca == 0
    }

    /// Whether a task may begin if everything older that waits has begun.
    fn may_begin(&self, attribute: TaskAttribute) -> bool {
        match attribute {
            TaskAttribute::Ordered => self.enabled == 0,
            TaskAttribute::Simple => self.enabled_ordered == 0 && self.enabled_heads == 0,
            TaskAttribute::HeadOfQueue | TaskAttribute::Aca => true,
        }
    }

    fn count(&mut self, attribute: TaskAttribute) {
        self.enabled += 1;
        match attribute {
            TaskAttribute::Ordered => self.enabled_ordered += 1,
            TaskAttribute::HeadOfQueue => self.enabled_heads += 1,
            TaskAttribute::Aca => self.enabled_aca += 1,
            TaskAttribute::Simple => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TaskAttribute::{Aca, HeadOfQueue, Ordered, Simple};
    use super::*;

    const fn key(number: u64) -> Key {
        Key::from_u64(number)
    }

    #[test]
    fn simple_tasks_never_wait_for_each_other() {
        let mut set = TaskSet::default();
        assert!((0..100).all(|_| set.enter(Simple)));
        assert_eq!(set.len(), 100);
        assert!(!set.leave(Simple));
    }

    #[test]
    fn an_ordered_task_is_a_barrier() {
        let mut set = TaskSet::default();
        assert!(set.enter(Simple));
        assert!(!set.enter(Ordered));
        set.queue(key(1), Ordered);
        assert!(!set.enter(Simple));
        set.queue(key(2), Simple);
        assert_eq!(set.next(), None);
        assert!(set.leave(Simple));
        assert_eq!(set.next(), Some(key(1)));
        assert_eq!(set.next(), None, "the younger one waits for the ordered one");
        set.leave(Ordered);
        assert_eq!(set.next(), Some(key(2)));
    }

    #[test]
    fn the_head_of_the_queue_goes_first() {
        let mut set = TaskSet::default();
        assert!(set.enter(Ordered));
        assert!(set.enter(HeadOfQueue), "even past an ordered one");
        assert!(set.enter(Aca));
        assert!(!set.enter(Simple));
        set.queue(key(1), Simple);
        set.leave(Ordered);
        assert_eq!(set.next(), None);
        set.leave(HeadOfQueue);
        assert_eq!(set.next(), Some(key(1)));
    }

    #[test]
    fn what_is_given_up_does_not_hold_others() {
        let mut set = TaskSet::default();
        assert!(set.enter(Simple) && !set.enter(Ordered));
        set.queue(key(1), Ordered);
        set.queue(key(2), Simple);
        assert!(set.withdraw(key(1)));
        assert_eq!(set.next(), Some(key(2)));
    }
}
