"""Load test: doors send frames all the time, people enroll and withdraw, and no person matches after a withdrawal."""
