//! Every byte layout: headers and PDUs as checked views and meaning types; no state, no allocation.
