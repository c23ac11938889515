"""The script: the same as `autosing sing`. What it does is in inference/singing.py.

python inference/sing.py --t2s RUN --sm2a RUN --reference song.mp3 --lyrics "..." --out out.wav
"""

from inference.cli import main

if __name__ == "__main__":
    main()
