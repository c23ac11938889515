"""What a voice sings -> notes and phones with their times: what the stage `score` is made of."""
