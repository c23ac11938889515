"""Script with the options of `autosing sing`; the work is done by inference/singing.py.

python inference/sing.py --t2s RUN --sm2a RUN --reference song.mp3 --lyrics "..." --out out.wav
"""

from inference.cli import main

if __name__ == "__main__":
    main()
