//! Which connections may leave TCP, in the grammar of libsdp.conf:
//!
//! ```text
//! # the first rule that matches decides; where none does, both
//! use tcp  client ssh    *:22
//! use both server redis* 127.0.0.1:6379
//! use sdp  client psql   [::1]:5432
//! log min-level 1 destination stderr
//! ```
//!
//! `both` leaves TCP where the peer can, and stays on it where the peer cannot. `tcp` stays. `sdp` is for clients who
//! would rather have no connection than one by TCP: where nobody under Weft listens the connection is refused. For servers, who
//! cannot choose who comes, it means the same as `both`. Lines that begin with `log` are libsdp's own; they are read and say
//! nothing here.
//!
//! Connections to other hosts stay on TCP unless a rule that says `both` or `sdp` fits them.
//!
//! It is not a filter: who may connect to whom is the business of the kernel's rules, which hold in any case.

use crate::pattern::{Place, Program};
use std::net::SocketAddr;
use thiserror::Error;

/// Rules, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// What a rule says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// Leave TCP, or have no connection.
    Sdp,
    /// Stay on TCP.
    Tcp,
    /// Leave TCP where the peer can.
    Both,
}

/// Which end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// The one that listens.
    Server,
    /// The one that connects.
    Client,
}

/// What is wrong with a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PolicyError {
    /// A line begins with a word that is not in the grammar.
    #[error("line {0}: a rule is `use sdp|tcp|both server|client PROGRAM ADDRESS:PORT`")]
    Rule(usize),
    /// A place that is none.
    #[error("line {0}: the place is `ADDRESS[/PREFIX]:PORT[-PORT]`, with * for any and IPv6 in brackets")]
    Place(usize),
    /// More rules than are ever looked through for a connection.
    #[error("more than {max} rules", max = Policy::RULES_MAX)]
    TooMany,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Rule {
    say: Use,
    role: Role,
    program: Program,
    place: Place,
}

impl Policy {
    /// Each new connection looks through all rules.
    pub const RULES_MAX: usize = 1024;

    /// Reads a policy.
    ///
    /// # Errors
    /// When a line is not of the grammar, with its number.
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] | ["log", ..] => {}
                _ if rules.len() == Self::RULES_MAX => return Err(PolicyError::TooMany),
                ["use", say, role, program, place] => {
                    rules.push(Rule::parse(say, role, program, place, index + 1)?);
                }
                _ => return Err(PolicyError::Rule(index + 1)),
            }
        }
        Ok(Policy { rules })
    }

    /// What holds for a program's connection: the place is where a server listens, or where a client connects to.
    pub fn say(&self, role: Role, program: &str, place: SocketAddr) -> Use {
        self.rule(role, program, place).unwrap_or(Use::Both)
    }

    /// The same for a connection to another host, which stays on TCP where no rule says otherwise.
    pub fn say_elsewhere(&self, role: Role, program: &str, place: SocketAddr) -> Use {
        self.rule(role, program, place).unwrap_or(Use::Tcp)
    }

    fn rule(&self, role: Role, program: &str, place: SocketAddr) -> Option<Use> {
        let fits =
            |rule: &&Rule| rule.role == role && rule.program.matches(program) && rule.place.matches(place);
        self.rules.iter().find(fits).map(|rule| rule.say)
    }
}

impl Rule {
    fn parse(say: &str, role: &str, program: &str, place: &str, line: usize) -> Result<Rule, PolicyError> {
        let say = match say {
            "sdp" => Use::Sdp,
            "tcp" => Use::Tcp,
            "both" => Use::Both,
            _ => return Err(PolicyError::Rule(line)),
        };
        let role = match role {
            "server" | "listen" => Role::Server,
            "client" | "connect" => Role::Client,
            _ => return Err(PolicyError::Rule(line)),
        };
        let place = Place::parse(place).ok_or(PolicyError::Place(line))?;
        Ok(Rule { say, role, program: Program::new(program), place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(text: &str) -> SocketAddr {
        text.parse().expect("a place")
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let text = "# comment\nlog min-level 9 destination file sdp.log\nuse tcp client ssh *:22\n\
                    use sdp client * *:22 # others\nuse tcp server * 10.0.0.0/8:*\n";
        let policy = Policy::parse(text).expect("a policy");
        assert_eq!(policy.say(Role::Client, "ssh", place("127.0.0.1:22")), Use::Tcp);
        assert_eq!(policy.say(Role::Client, "curl", place("127.0.0.1:22")), Use::Sdp);
        assert_eq!(policy.say(Role::Client, "curl", place("127.0.0.1:23")), Use::Both);
        assert_eq!(policy.say(Role::Server, "sshd", place("10.1.1.1:22")), Use::Tcp);
        assert_eq!(policy.say(Role::Server, "sshd", place("127.0.0.1:22")), Use::Both);
    }

    #[test]
    fn no_rules_mean_both() {
        let policy = Policy::parse("").expect("a policy");
        assert_eq!(policy.say(Role::Client, "x", place("[::1]:1")), Use::Both);
    }

    #[test]
    fn other_hosts_need_a_rule() {
        let policy = Policy::parse("use both client * 10.0.0.0/8:*").expect("a policy");
        assert_eq!(policy.say_elsewhere(Role::Client, "x", place("10.0.0.1:1")), Use::Both);
        assert_eq!(policy.say_elsewhere(Role::Client, "x", place("11.0.0.1:1")), Use::Tcp);
        assert_eq!(policy.say_elsewhere(Role::Server, "x", place("10.0.0.1:1")), Use::Tcp);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        for (text, error) in [
            ("\nuse udp client * *:*", PolicyError::Rule(2)),
            ("use tcp peer * *:*", PolicyError::Rule(1)),
            ("use tcp client *:*", PolicyError::Rule(1)),
            ("drop everything", PolicyError::Rule(1)),
            ("use tcp client * *", PolicyError::Place(1)),
        ] {
            assert_eq!(Policy::parse(text), Err(error), "{text}");
        }
        let many = "use tcp client * *:*\n".repeat(Policy::RULES_MAX + 1);
        assert_eq!(Policy::parse(&many), Err(PolicyError::TooMany));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(use |sdp|tcp|both|server|client|[*:0-9./\\[\\]-]| |\n|#){0,40}") {
            let _ = Policy::parse(&text);
        }
    }
}
