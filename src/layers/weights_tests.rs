//! Loading: precision, names, accounts, and views of a mapped file.
