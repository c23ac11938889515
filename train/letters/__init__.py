"""Training data of the aligner's letter head: `python -m train.letters DATASET`, then `autosing train ctc_head`."""
