"""`python -m anime_keras`."""

from anime_keras.cli import main

if __name__ == "__main__":
    main()
