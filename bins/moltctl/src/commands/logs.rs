//! `moltctl logs`: lines of the home's log files, oldest first.
