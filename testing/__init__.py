"""What the tests of every app use: private servers and the program that runs the suite."""
