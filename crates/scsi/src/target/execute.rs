//! A task is executed: by its handler, then by what its volume says, until it ends.

use super::Target;
use super::call::{Call, Step};
use super::sbc::{self, Work};
use super::task::{Ending, Fault, State};
use block::{Done, Io};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;

impl Target {
    /// See [`super::Executor::submit`]. A task that has ended meanwhile is not there.
    pub(super) fn submit_task(&mut self, env: &mut dyn Env, key: Key, data: Span) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        match &mut task.state {
            State::Dormant { submitted } => {
                *submitted = true;
                task.data = data;
            }
            State::Enabled => {
                task.data = data;
                self.execute(env, key);
            }
            State::Executing => debug_assert!(false, "a task is submitted once"),
        }
    }

    /// Executes an enabled task whose data is there.
    pub(super) fn execute(&mut self, env: &mut dyn Env, key: Key) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.state = State::Executing;
        let task = *task;
        let mut call = Call { target: self, env, key, task };
        let step = (task.row.execute)(&mut call);
        self.conclude(env, key, step);
    }

    /// Gives a logical unit's volume a request of a task; `work` is what follows.
    pub(super) fn start(&mut self, env: &mut dyn Env, key: Key, unit: Key, io: Io, work: Work) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.work = work;
        task.at_volume = Some(unit);
        let Some(entry) = self.units.get_mut(unit) else { return };
        entry.channel.start(env, Io { tag: key.as_u64(), ..io });
        if !core::mem::replace(&mut entry.busy, true) {
            self.busy.push(unit);
        }
    }

    /// A volume is done with a request of ours.
    pub(super) fn complete(&mut self, env: &mut dyn Env, done: &Done) {
        let key = Key::from_u64(done.tag);
        let Some(task) = self.tasks.get_mut(key) else {
            debug_assert!(false, "a volume completed a request it was not given");
            return;
        };
        task.at_volume = None;
        if let Some(ending) = task.given_up {
            return self.end(env, key, ending);
        }
        let task = *task;
        let mut call = Call { target: self, env, key, task };
        let step = sbc::resume(&mut call, done);
        self.conclude(env, key, step);
    }

    /// Carries on with the tasks whose pause is over; true if there were any.
    pub(super) fn end_rests(&mut self, env: &mut dyn Env) -> bool {
        let now = env.now();
        let mut any = false;
        while let Some((_, key)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            any = true;
            let Some(&task) = self.tasks.get(key) else { continue };
            let mut call = Call { target: self, env, key, task };
            let step = sbc::after_rest(&mut call);
            self.conclude(env, key, step);
        }
        any
    }

    /// What a handler's answer means for its task.
    fn conclude(&mut self, env: &mut dyn Env, key: Key, step: Result<Step, Fault>) {
        let ending = match step {
            Ok(Step::UnderWay) => return,
            Ok(Step::Good(data)) => Ending::good(data),
            Err(fault) => fault.into(),
        };
        self.end(env, key, ending);
    }
}
