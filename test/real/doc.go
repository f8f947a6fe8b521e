// Package real holds the tests that need real programs of others: scikit-learn, git, a terminal. `make test-real` installs
// their Debian packages and runs them.
package real
