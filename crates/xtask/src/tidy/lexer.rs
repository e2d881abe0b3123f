//! Just enough of Rust's grammar to tell code from comments and literals.
//!
//! Not a parser: it blanks what is not code, keeps every line where it was, and leaves judging to the rules. Brace
//! matching on its output is exact, because braces in strings and comments are gone.

/// The text with comments, strings and characters replaced by blanks, line by line.
pub fn code_only(text: &str) -> String {
    let mut lexer = Lexer { rest: text.chars().collect(), at: 0, out: String::with_capacity(text.len()) };
    while lexer.at < lexer.rest.len() {
        lexer.step();
    }
    lexer.out
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    out: String,
}

impl Lexer {
    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.blank_while(|lexer| lexer.peek(0) != '\n'),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) if self.is_character() => self.character(),
            ('r', '"' | '#') | ('b', 'r') if !self.follows_word() && self.raw_hashes().is_some() => {
                self.raw_string()
            }
            _ => self.keep(),
        }
    }

    fn peek(&self, ahead: usize) -> char {
        self.rest.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn keep(&mut self) {
        self.out.push(self.peek(0));
        self.at += 1;
    }

    fn blank(&mut self) {
        if let Some(&character) = self.rest.get(self.at) {
            self.out.push(if character == '\n' { '\n' } else { ' ' });
            self.at += 1;
        }
    }

    fn blank_while(&mut self, wanted: impl Fn(&Lexer) -> bool) {
        while self.at < self.rest.len() && wanted(self) {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.rest.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.blank();
                    continue;
                }
            }
            self.blank();
            self.blank();
            if depth == 0 {
                break;
            }
        }
    }

    fn string(&mut self) {
        self.blank();
        while self.at < self.rest.len() {
            match self.peek(0) {
                '"' => break,
                '\\' => self.blank(),
                _ => {}
            }
            self.blank();
        }
        self.blank();
    }

    /// A lifetime has no closing quote where a character would.
    fn is_character(&self) -> bool {
        self.peek(1) == '\\' || self.peek(2) == '\''
    }

    fn character(&mut self) {
        self.blank();
        if self.peek(0) == '\\' {
            self.blank();
        }
        self.blank();
        self.blank_while(|lexer| !matches!(lexer.peek(0), '\'' | '\n'));
        self.blank();
    }

    fn follows_word(&self) -> bool {
        self.at > 0 && is_word(self.rest[self.at - 1])
    }

    /// How many `#` a raw string here opens with; `None` when what stands here is a raw identifier or a plain word.
    fn raw_hashes(&self) -> Option<usize> {
        let start = if self.peek(0) == 'b' { 2 } else { 1 };
        let hashes = (start..).take_while(|&ahead| self.peek(ahead) == '#').count();
        (self.peek(start + hashes) == '"').then_some(hashes)
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        self.blank_while(|lexer| lexer.peek(0) != '"');
        self.blank();
        self.blank_while(|lexer| lexer.peek(0) != '"' || (1..=hashes).any(|ahead| lexer.peek(ahead) != '#'));
        for _ in 0..=hashes {
            self.blank();
        }
    }
}

/// True for what may be part of an identifier.
pub fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where `word` stands alone in `line`, not as a part of a longer identifier.
pub fn find_word(line: &str, word: &str) -> Option<usize> {
    line.match_indices(word).map(|(at, _)| at).find(|&at| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let opens = word.starts_with(is_word) && before.is_some_and(is_word);
        let closes = word.ends_with(is_word) && after.is_some_and(is_word);
        !opens && !closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_vanish_and_lines_stay() {
        let text = "a // {\n/* { /* } */ */ b \"}\\\"{\" c\nr#\"{\"# '{' '\\'' d br\"{\" 'life r#type\n";
        let code = code_only(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(!code.contains(['{', '}', '"']), "{code}");
        let words: Vec<_> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "c", "d", "'life", "r#type"]);
    }

    #[test]
    fn a_string_over_several_lines_keeps_its_line_ends() {
        assert_eq!(code_only("x\"1\n2\"y").lines().count(), 2);
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert_eq!(find_word("unsafely", "unsafe"), None);
        assert_eq!(find_word("MyHashMap HashMap", "HashMap"), Some(10));
        assert_eq!(find_word("x.rand::y", "rand::"), Some(2));
    }
}
