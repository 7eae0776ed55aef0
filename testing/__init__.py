"""What the tests of every app use: servers, clients, and the programs that run the suite."""
