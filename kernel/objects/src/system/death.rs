//! Ends: of threads, of processes, of objects. Whatever ends gives back all that it had.

use super::handles::{Object, SLOTS};
use super::objects::{Header, Reclaim, System};
use super::space::{Life, MAPPINGS, Space};
use super::thread::{Context, State, THREADS, Thread};
use tessera_abi::{error::Error, kind::Kind, number, rights};

/// Kinds of objects that end with the process that owns them.
const OWNED: [Kind; 7] = [
    Kind::Endpoint,
    Kind::Notification,
    Kind::Region,
    Kind::Interrupt,
    Kind::HostChannel,
    Kind::Evidence,
    Kind::Inspection,
];

impl<C: Context> System<C> {
    /// `kill` by the running thread.
    pub fn kill(&mut self, handle: u64, reclaim: &mut impl Reclaim) -> Result<u64, Error> {
        let entry = self.entry(self.current_space(), handle)?;
        match entry.object().kind {
            Kind::Thread => {
                entry.allows(Kind::Thread, rights::MANAGE)?;
                self.kill_thread(entry.index, number::STATUS_KILLED, reclaim);
            }
            _ => {
                entry.allows(Kind::AddressSpace, rights::MANAGE)?;
                self.kill_space(entry.index, number::STATUS_KILLED, reclaim);
            }
        }
        Ok(0)
    }

    /// Ends a thread; the last one of a process ends the process with `status`.
    pub fn kill_thread(&mut self, thread: u8, status: u64, reclaim: &mut impl Reclaim) {
        let space = self.thread(thread).space;
        self.stop_elsewhere(thread, reclaim);
        self.retire_thread(thread);
        if self.space(space).threads == 0 {
            self.kill_space(space, status, reclaim);
        }
        self.preempt();
    }

    /// Frees the slot of a thread that no other processor runs; who waits for it learns that.
    pub(super) fn retire_thread(&mut self, thread: u8) {
        self.leave(thread);
        let caller = self.thread(thread).caller;
        if caller != 0 {
            self.end_wait(caller, Error::PeerDied);
        }
        self.unbind(thread);
        let slot = self.thread(thread);
        let (space, generation) = (slot.space, slot.generation.wrapping_add(1));
        *slot = Thread {
            generation,
            ..Thread::EMPTY
        };
        self.space(space).threads -= 1;
        if self.current() == thread {
            self.set_current(0);
        }
    }

    /// Ends a process that lives, and those that only it had handles to.
    pub fn kill_space(&mut self, index: u8, status: u64, reclaim: &mut impl Reclaim) {
        self.end_space(index, status, reclaim);
        self.reap(reclaim);
        self.preempt();
    }

    /// Ends its threads, its objects, its handles, its memory.
    fn end_space(&mut self, index: u8, status: u64, reclaim: &mut impl Reclaim) {
        if self.space(index).life != Life::Alive {
            return;
        }
        self.space(index).life = Life::Dead(status);
        for thread in 1..THREADS {
            let t = &self.threads[thread];
            if t.state != State::Free && t.space == index {
                self.stop_elsewhere(thread as u8, reclaim);
                self.retire_thread(thread as u8);
            }
        }
        for slot in 0..MAPPINGS {
            self.drop_mapping(index, slot, reclaim);
        }
        self.destroy_owned(index, reclaim);
        for slot in 1..SLOTS {
            let entry = self.space(index).handles.0[slot];
            if entry.value != 0 {
                self.close_entry(index, entry, reclaim);
            }
        }
        let tables = self.space(index).tables;
        if self.cpu().tables == tables {
            self.cpu().tables = 0;
            reclaim.leave();
        }
        reclaim.space(tables);
        self.tell_end(index);
        if self.space(index).refs == 0 {
            self.release_space(index);
        }
    }

    /// Ends processes that nobody has a handle to any more.
    pub(super) fn reap(&mut self, reclaim: &mut impl Reclaim) {
        let orphan = |space: &Space| space.orphan && space.life == Life::Alive;
        while let Some(index) = self.spaces.iter().position(orphan) {
            self.end_space(index as u8, number::STATUS_KILLED, reclaim);
        }
    }

    fn destroy_owned(&mut self, owner: u8, reclaim: &mut impl Reclaim) {
        for kind in OWNED {
            for index in 1..=u8::MAX {
                let generation = 0;
                let object = Object {
                    kind,
                    index,
                    generation,
                };
                match self.header(object) {
                    Some(header) if header.used && header.owner == owner => {
                        self.destroy(object, reclaim);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The quota goes back, and the watcher is told.
    fn tell_end(&mut self, index: u8) {
        let dead = self.space(index);
        let (quota, parent, generation) = (dead.quota, dead.parent, dead.parent_generation);
        let (watcher, bits, watched) = (dead.watcher, dead.watch_bits, dead.watch_generation);
        let parent = self.space(parent);
        if parent.life == Life::Alive && parent.generation == generation {
            parent.refund(quota);
        }
        let header = self.notifications[usize::from(watcher)].header;
        if watcher != 0 && header.used && header.generation == watched {
            self.raise(watcher, bits);
        }
    }

    /// The last handle to a process was closed: a dead one's slot is free again, a living one
    /// is for `reap`.
    pub(super) fn release_space(&mut self, index: u8) {
        let space = self.space(index);
        space.orphan = space.life == Life::Alive;
        if let Life::Dead(_) = space.life {
            let generation = space.generation.wrapping_add(1);
            *space = Space {
                generation,
                ..Space::EMPTY
            };
        }
    }

    /// Ends an object that is neither process nor thread.
    pub(super) fn destroy(&mut self, object: Object, reclaim: &mut impl Reclaim) {
        self.send_away(object);
        let Some(header) = self.header(object) else {
            return;
        };
        let generation = header.generation.wrapping_add(1);
        if object.kind != Kind::Region {
            if object.kind == Kind::Endpoint {
                self.forget_serving(object.index);
            }
            let Some(header) = self.header(object) else {
                return;
            };
            *header = Header {
                generation,
                ..Header::EMPTY
            };
            match object.kind {
                Kind::Notification => self.notifications[usize::from(object.index)].bits = 0,
                Kind::Interrupt => reclaim.interrupt(object.index),
                _ => {}
            }
            return;
        }
        header.generation = generation;
        header.refs = 0;
        self.region_gone(object.index, reclaim);
    }

    fn forget_serving(&mut self, endpoint: u8) {
        for thread in 1..=u8::MAX {
            if self.thread(thread).serving == endpoint {
                self.thread(thread).serving = 0;
                self.refresh(thread);
            }
        }
    }
}
