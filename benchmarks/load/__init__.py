"""A service under load: doors ask all the time, people come and go, and no person matches after they have left."""
