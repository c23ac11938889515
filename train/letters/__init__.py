"""What the aligner's letter head is fitted on: `python -m train.letters DATASET`, then `autosing train ctc_head`."""
